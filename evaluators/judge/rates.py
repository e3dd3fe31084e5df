"""What an endpoint says it has left in the current minute: requests and tokens.

Two buckets, fed by `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`. A request is charged
before it leaves, its tokens with an upper guess; what it did not use is given back when the answer
comes, with the endpoint's own count. An endpoint that says nothing has no buckets.

An answer tells what was left when its request came in, and it may be old by then: what flowed in
and what we sent since are added and taken away here. An endpoint that counts when it answers is
read a little too high where we send less than flows in, and then no limit is near.

The limit is the organisation's, and other replicas draw on it too. So each takes its share of what
is left and of what flows in, and no more: the shares of a group add up to one at most, so whatever
all of them send at once is there. What one does not use stays in the remainder, of which everyone
has the same share again with the next answer.
"""

from collections.abc import Callable, Mapping

from .faults import read_duration_s, read_number

_KINDS = ("requests", "tokens")
_WINDOW_S = 60.0
_FORGET_S = 120.0
"""Without a word for so long an endpoint has no limits any more: the next answer tells."""
_LEAST_SHARE = 0.01
"""For a replica that has no partitions: what it still asks must be able to leave."""


class _Bucket:
    """What the organisation has left of one limit."""

    def __init__(self, limit: float, left: float, reset_s: float | None, at: float) -> None:
        self.limit = limit
        self._left = left
        self._at = at
        is_known = reset_s is not None and reset_s > 0 and left < limit
        self._per_s = (limit - left) / reset_s if reset_s and is_known else limit / _WINDOW_S

    def wait_s(self, amount: float, charged: float, share: float, now: float) -> float:
        """Seconds until our share has room for an amount beside what is charged already."""
        ours = max(1.0, self.limit * share)
        part = ours / self.limit
        left = min(self.limit, self._left + (now - self._at) * self._per_s) * part - charged
        # More than the whole limit never fits: it goes when the bucket is full.
        return max(0.0, min(amount, ours) - left) / (self._per_s * part)


class Rates:
    """The buckets of one endpoint and model. State only; `endpoint.py` has the queue.

    Args:
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._told_of = 0.0
        """When the request was sent whose answer the buckets are from."""
        self._since: list[tuple[float, float, float]] = []
        """Charges since then: when, requests, tokens."""
        self._shares: dict[str, float] = {}

    @property
    def share(self) -> float:
        """This replica's part of the endpoint's limits: the mean over its lanes."""
        if not self._shares:
            return 1.0
        return max(_LEAST_SHARE, sum(self._shares.values()) / len(self._shares))

    def set_share(self, lane: str, share: float) -> None:
        """Take the share of a lane's partitions that this replica has now."""
        self._shares[lane] = share

    def charge(self, tokens: float) -> None:
        """A request leaves."""
        if self._buckets:
            self._since.append((self._clock(), 1.0, tokens))

    def wait_s(self, tokens: float) -> float:
        """Seconds until one more request may leave; 0 where it may now."""
        if not self._buckets:
            return 0.0
        now, share = self._clock(), self.share
        if now - self._told_of > _FORGET_S:
            self._buckets, self._since = {}, []
        amounts = {"requests": 1.0, "tokens": tokens}
        charged = {
            "requests": sum(requests for _, requests, _ in self._since),
            "tokens": sum(one for _, _, one in self._since),
        }
        return max(
            (
                bucket.wait_s(amounts[kind], charged[kind], share, now)
                for kind, bucket in self._buckets.items()
            ),
            default=0.0,
        )

    def tell(self, headers: Mapping[str, str], sent_at: float, unused: float) -> None:
        """An answer came.

        Args:
            headers: Its headers; limits of zero and less, as gateways send them, say nothing.
            sent_at: When its request was sent, by the clock.
            unused: Tokens that it was charged and did not use.
        """
        if sent_at < self._told_of:
            return  # a later request has told already
        told = dict[str, _Bucket]()
        for kind in _KINDS:
            limit = read_number(headers.get(f"x-ratelimit-limit-{kind}"))
            left = read_number(headers.get(f"x-ratelimit-remaining-{kind}"))
            if limit is not None and left is not None and 0 <= left <= limit and limit > 0:
                reset_s = read_duration_s(headers.get(f"x-ratelimit-reset-{kind}"))
                told[kind] = _Bucket(limit, left, reset_s, sent_at)
        if told:
            self._buckets, self._told_of = told, sent_at
            self._since = [charge for charge in self._since if charge[0] > sent_at]
        elif self._buckets:
            self._since.append((sent_at, 0.0, -unused))
