"""Long texts are searched in a thread, so that the event loop goes on."""

import threading

import pytest

from evaluators.texts import search


@pytest.mark.parametrize(("chars", "is_apart"), [(50_000, False), (50_001, True)])
async def test_long_texts_are_searched_in_a_thread(chars: int, is_apart: bool) -> None:
    """Work on short texts is done at once, work on a long one apart from the event loop."""
    found = await search(threading.get_ident, ["short", "x" * chars])

    assert (found != threading.get_ident()) is is_apart
