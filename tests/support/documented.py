"""Figures of the catalogue in docs/evaluators.md, for the tests that measure them."""

from pathlib import Path

_PAGE = Path(__file__).parent.parent.parent / "docs" / "evaluators.md"
_HEADING = "### Offline sets"
_TOLERANCE = 0.005
"""Figures are written with two decimals."""


def check_documented(
    name: str, n: int, precision: float | None = None, recall: float | None = None
) -> None:
    """The row of `name` gives this n, and neither figure better or worse than measured.

    Raises:
        AssertionError: The page says something else, or nothing.
    """
    _, _, section = _PAGE.read_text("utf-8").partition(_HEADING)
    rows = (line.split("|") for line in section.splitlines() if line.startswith("|"))
    (cells,) = ([cell.strip() for cell in row] for row in rows if row[1].strip() == f"`{name}`")
    documented = dict(zip(("n", "precision", "recall"), cells[3:6], strict=True))
    assert documented["n"] == str(n), f"{name}: n {n} was measured"
    for figure, measured in (("precision", precision), ("recall", recall)):
        if measured is None:
            assert documented[figure] == "–", f"{name}: {figure} was not measured"  # noqa: RUF001  a dash
        else:
            assert abs(float(documented[figure]) - measured) <= _TOLERANCE, (
                f"{name}: {figure} {measured:.4f} was measured"
            )
