"""Tables for people: whole, however narrow the terminal, and unwrapped where there is none."""

from rich.console import Console, RenderableType
from rich.table import Column, Table

_UNBOUNDED = 10_000
"""More columns than a table has whose cells are cut at 200 characters."""


def table_of(*columns: str | Column) -> Table:
    """A table whose cells are folded where room is short: an id that is cut off is of no use."""
    table = Table(*columns)
    for column in table.columns:
        column.overflow = "fold"
    return table


def notes_on(thing: str, shown: int, matched: int) -> list[str]:
    """What to say below a list of the newest: that nothing matches, or that more does."""
    notes = [] if shown else [f"no {thing} matches; --since looks further back"]
    if matched > shown:
        notes.append(f"{matched - shown} older ones match; --limit shows more")
    return notes


def print_table(table: RenderableType, *notes: str) -> None:
    """Print it as wide as the terminal is, and into a pipe or a file as wide as it has to be.

    There a line is a row, so that grep finds whole names and ids. Each note is a line below it.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        unbounded = console.options.update(max_width=_UNBOUNDED)
        console.width = console.measure(table, options=unbounded).maximum
    console.print(table)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
