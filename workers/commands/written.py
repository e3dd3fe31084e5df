"""Files that a command writes, in the place of those that are there."""

from pathlib import Path

from schemas.errors import AssayError


class NotWritten(AssayError):  # noqa: N818  named for what happened
    """A file cannot be written; the message says which and why."""


def write(path: Path, text: str, option: str = "--out") -> str:
    """Write one file, and the folders that it needs; returns its path as it is shown.

    Args:
        path: Where.
        text: What.
        option: The command's option for another folder, for the message.

    Raises:
        NotWritten: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritten(
            f"{path}: cannot be written ({error.strerror}); choose another folder with {option}"
        ) from error
    return str(path)
