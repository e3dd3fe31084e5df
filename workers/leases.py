"""What the records of the leases topic mean: the one book that all workers read alike.

The topic has one partition, so its order is the order of events: who asked first has the money.
Nothing is ever confirmed: each worker reads the log, its own records too, and computes who got
what. To which period a record belongs the broker's clock says (LogAppendTime), and no worker's.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Per = Literal["hour", "day", "month"]


@dataclass(frozen=True, slots=True)
class Period:
    """One period of a budget, in Unix milliseconds; `end_ms` is the next one's first."""

    begin_ms: int
    end_ms: int

    @classmethod
    def of(cls, per: Per, at_ms: int) -> "Period":
        """The period, in UTC, that a moment falls into."""
        at = datetime.fromtimestamp(at_ms / 1000, UTC).replace(minute=0, second=0, microsecond=0)
        if per == "hour":
            begin, end = at, at + timedelta(hours=1)
        elif per == "day":
            begin = at.replace(hour=0)
            end = begin + timedelta(days=1)
        else:
            begin = at.replace(day=1, hour=0)
            end = (begin + timedelta(days=32)).replace(day=1)
        return cls(int(begin.timestamp() * 1000), int(end.timestamp() * 1000))


class Entry(BaseModel):
    """One record: a worker asks for money, or gives back what it did not spend."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: Annotated[str, Field(min_length=1, max_length=64)]
    """A name that no other process has, ever."""
    number: Annotated[int, Field(ge=0)]
    """Of this worker's records; the same number again is a copy, and counts once."""
    budget: Annotated[str, Field(min_length=1, max_length=64)]
    per: Per
    cap: Annotated[int, Field(ge=0)]
    """The whole budget as the asking worker knows it, in billionths of a US dollar."""
    wants: Annotated[int, Field(ge=0)] = 0
    """What it asks for."""
    needs: Annotated[int, Field(ge=0)] = 0
    """The least that is of use to it."""
    returns: Annotated[int, Field(ge=0)] = 0
    """What it gives back of `period`."""
    period: int | None = None
    """Begin of the period in which it got what it gives back; later it is worth nothing."""


def read_entry(value: bytes | None) -> Entry | None:
    """The entry of a record, or None where it is none of ours: it then changes nothing for all."""
    try:
        return Entry.model_validate_json(value or b"")
    except ValidationError:
        return None


@dataclass(slots=True)
class _Account:
    """One budget in one period."""

    period: Period
    taken: int = 0
    seen: set[tuple[str, int]] = field(default_factory=set)


class Ledger:
    """Computes, record by record, how much of each budget is given away.

    Of each budget it knows the newest period only. A record that the broker has stamped earlier,
    which needs a clock that went backwards, is granted nothing.
    """

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, Per], _Account] = {}

    def apply(self, entry: Entry, at_ms: int) -> int:
        """Take the next record of the log.

        Args:
            entry: What it says.
            at_ms: When the broker appended it.

        Returns:
            What its worker may spend now, in the period that `at_ms` falls into.
        """
        account = self._account(entry.budget, entry.per, at_ms)
        key = (entry.worker, entry.number)
        if account is None or key in account.seen:
            return 0
        account.seen.add(key)
        if entry.returns and entry.period == account.period.begin_ms:
            account.taken = max(0, account.taken - entry.returns)
        # By the asking worker's cap: while a config is rolled out all must read the same.
        left = max(0, entry.cap - account.taken)
        granted = entry.wants if entry.wants <= left else left if left >= entry.needs else 0
        account.taken += granted
        return granted

    def taken(self, budget: str, per: Per, at_ms: int) -> int:
        """What is given away in the period of a moment, as far as the log was read."""
        account = self._accounts.get((budget, per))
        if account is None or account.period != Period.of(per, at_ms):
            return 0
        return account.taken

    def _account(self, budget: str, per: Per, at_ms: int) -> _Account | None:
        period = Period.of(per, at_ms)
        account = self._accounts.get((budget, per))
        if account is None or account.period.begin_ms < period.begin_ms:
            account = self._accounts[budget, per] = _Account(period)
        return account if account.period == period else None
