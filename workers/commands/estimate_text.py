"""What `assay estimate` has found, and how it says it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from workers.estimation import Amount, JudgeCost, Tally, amount

from .common import cell
from .tables import print_table, table_of

DAY_S = 86_400.0
_EXACT_BELOW = 100


@dataclass(frozen=True, slots=True)
class RouteRow:
    """What one route comes to in a day.

    Attributes:
        route: Its name.
        sample: The share of traces that it keeps.
        matches: Spans for which its `when` holds.
        evaluated: Those of them that it would keep.
        failures: Spans that were read and on which its `when` failed.
    """

    route: str
    sample: float
    matches: Amount
    evaluated: Amount
    failures: int


@dataclass(frozen=True, slots=True)
class EvaluatorRow:
    """What one evaluator comes to in a day.

    Attributes:
        evaluator: Its name.
        evaluations: How many there are, skipped ones included.
        judge: What it asks its judge; None: it has none, or there was nothing to ask about.
    """

    evaluator: str
    evaluations: Amount
    judge: JudgeCost | None

    @property
    def usd(self) -> Amount | None:
        """Judge spend in US dollars; None: the model has no price, or there is no judge."""
        return self._priced(None if self.judge is None else self.judge.usd)

    @property
    def most_usd(self) -> Amount | None:
        """The same if each answer were as long as it may be, and each byte a token."""
        return self._priced(None if self.judge is None else self.judge.most_usd)

    def _priced(self, usd: float | None) -> Amount | None:
        if self.judge is None or usd is None:
            return None
        return self.evaluations.times(self.judge.share * usd)


@dataclass(slots=True)
class Estimate:
    """All that the command says.

    Attributes:
        seconds: The time that what was read stands for.
        records: Records that were read.
        tally: What was counted in them.
        routes: By route, in the config's order.
        evaluators: By evaluator, by name.
        notes: What to know about the figures.
    """

    seconds: float
    records: int
    tally: Tally
    routes: list[RouteRow]
    evaluators: list[EvaluatorRow]
    notes: list[str]

    @property
    def calls(self) -> Amount:
        """LLM calls in a day."""
        return amount(self.tally.calls).times(DAY_S / self.seconds)

    @property
    def usd(self) -> Amount:
        """Judge spend in a day, of all judges that have a price."""
        return _sum([row.usd for row in self.evaluators])

    @property
    def most_usd(self) -> float:
        """The upper end of the same if each answer were as long as it may be."""
        return _sum([row.most_usd for row in self.evaluators]).high


def show(found: Estimate, topics: Sequence[str]) -> None:
    """Print it for people."""
    console = Console(highlight=False)
    console.print(
        f"read {', '.join(topics)}, {found.seconds / 60:.1f} minutes: {found.records:,} records, "
        f"{found.tally.spans:,} spans, {sum(found.tally.calls.values()):,.0f} LLM calls",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        f"a day like these minutes, with 95 % intervals: {_text(found.calls)} LLM calls\n",
        markup=False,
        soft_wrap=True,
    )
    table = table_of("route", "sample", "spans that match", "spans evaluated")
    for row in found.routes:
        table.add_row(cell(row.route), f"{row.sample:g}", _text(row.matches), _text(row.evaluated))
    print_table(table)
    table = table_of("evaluator", "evaluations", "judge", "asked", "prompt", "USD", "at most")
    for each in found.evaluators:
        table.add_row(cell(each.evaluator), _text(each.evaluations), *_judge_cells(each))
    print_table(table)
    console.print(
        f"judges: {_text(found.usd, 2)} USD a day, at most {found.most_usd:,.2f}",
        markup=False,
        soft_wrap=True,
    )
    for note in found.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)


def _judge_cells(row: EvaluatorRow) -> tuple[str, ...]:
    judge = row.judge
    if judge is None:
        return ("", "", "", "", "")
    usd, most = row.usd, row.most_usd
    return (
        judge.model,
        f"{judge.share:.0%}",
        f"{judge.prompt_bytes / 1000:.1f} kB",
        "no price" if usd is None else _text(usd, 2),
        "no price" if most is None else f"{most.high:,.2f}",
    )


def _text(of: Amount, places: int = 0) -> str:
    """Such as `1,230 (1,100 to 1,370)`: digits beyond the third would claim too much."""
    value, low, high = (_rounded(number, places) for number in (of.value, of.low, of.high))
    return f"{value} ({low} to {high})"


def _rounded(number: float, places: int) -> str:
    if number < _EXACT_BELOW:
        return f"{number:.{places}f}"
    return f"{float(f'{number:.3g}'):,.0f}"


def as_object(found: Estimate) -> dict[str, Any]:
    """All of it, for machines."""
    return {
        "minutes": found.seconds / 60,
        "records": found.records,
        "spans": found.tally.spans,
        "unreadable_records": found.tally.unreadable,
        "per_day": {
            "llm_calls": asdict(found.calls),
            "routes": [asdict(row) for row in found.routes],
            "evaluators": [
                {
                    "evaluator": row.evaluator,
                    "evaluations": asdict(row.evaluations),
                    "judge": None if row.judge is None else asdict(row.judge),
                    "usd": None if row.usd is None else asdict(row.usd),
                    "most_usd": None if row.most_usd is None else row.most_usd.high,
                }
                for row in found.evaluators
            ],
            "usd": asdict(found.usd),
            "most_usd": found.most_usd,
        },
        "notes": found.notes,
    }


def _sum(amounts: Sequence[Amount | None]) -> Amount:
    """Of what depends on the same traces: the ends of the intervals add up too."""
    known = [each for each in amounts if each is not None]
    return Amount(
        sum(each.value for each in known),
        sum(each.low for each in known),
        sum(each.high for each in known),
    )
