"""Tables for people."""

import pytest

from workers.commands.tables import print_table, table_of

NAME = "an_evaluator_with_a_long_name"
TRACE = "f1c7dd8da623836a0e740e8f58af787e"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty columns, which is less than the table below needs."""
    monkeypatch.setenv("COLUMNS", "40")


def _print() -> None:
    table = table_of("evaluator", "trace")
    table.add_row(NAME, TRACE)
    print_table(table, "a note [of mine]")


@pytest.mark.usefixtures("narrow")
def test_a_row_is_a_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What goes into a pipe is not folded: grep finds a name and the trace beside it."""
    _print()
    lines = capsys.readouterr().out.splitlines()
    assert any(NAME in line and TRACE in line for line in lines)
    assert lines[-1] == "a note [of mine]"


@pytest.mark.usefixtures("narrow")
def test_a_narrow_terminal_hides_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells are folded to fit, and every character of them is there."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    _print()
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("│") for line in lines if line.startswith("│")]
    assert {sum(map(len, row)) + len(row) - 1 for row in rows} == {40}
    assert "".join(row[1].strip() for row in rows) == NAME
    assert "".join(row[2].strip() for row in rows) == TRACE
