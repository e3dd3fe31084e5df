"""Where a pipeline's records come from, and who reads them: a lane and a replay have their own."""

from collections.abc import AsyncIterator
from typing import Protocol

from .consumer import Record
from .flight import Work


class Records(Protocol):
    """Gives records with their claims, and ends when all that it gave is done or given up."""

    def __aiter__(self) -> AsyncIterator[Record]:
        """Give records until the source is at its end or was stopped; drain, then end."""
        ...

    async def covered(self) -> None:
        """Return when so little is done and not yet committed that new work may begin."""
        ...

    def stop(self) -> None:
        """Give no more; harmless where it was called before."""
        ...


class Reader(Protocol):
    """Turns a record into the work that hangs on it."""

    def read(self, record: Record) -> Work:
        """Say what a record asks for.

        Raises:
            WorkerStopped: Too much has been unreadable.
        """
        ...
