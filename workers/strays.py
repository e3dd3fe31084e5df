"""What nobody catches, and what libraries log: told without a message that may hold judged text.

A plugin's thread, or an object that it leaves behind, raises where no wall stands; Python would
write the whole exception to stderr.
"""

import logging
import sys
import threading

import orjson

from .wall import place_of

_NAME = "assay.strays"


def catch_strays(handler: logging.Handler) -> None:
    """From now on all that is logged, and what ends a thread or a finaliser, goes to `handler`."""
    logging.getLogger().addHandler(handler)
    threading.excepthook = lambda args: _log("a thread", args.exc_value)
    sys.unraisablehook = lambda args: _log("a finaliser", args.exc_value)


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """What may be told of a log record: its origin, and the message's template where it has one.

    A finished message may hold judged text, or an address with a key in it.
    """
    fields = {"library": record.name, "source": f"{record.module}:{record.lineno}"}
    if record.name == _NAME:
        return {"library": record.name, "template": record.getMessage()}
    # asyncio formats by itself; its first line is fixed, those below quote exceptions.
    if record.args or record.name == "asyncio":
        fields["template"] = str(record.msg).partition("\n")[0]
    if record.exc_info and record.exc_info[0]:
        fields["error"] = record.exc_info[0].__name__
    return fields


class PlainHandler(logging.Handler):
    """Writes a JSON line to stderr, for a process that has no log of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        print(orjson.dumps(fields_of(record)).decode(), file=sys.stderr)  # noqa: T201  no other log


def _log(where: str, error: BaseException | None) -> None:
    if error is not None:  # None: there was no memory left to make it
        logging.getLogger(_NAME).error("%s raised %s", where, place_of(error))
