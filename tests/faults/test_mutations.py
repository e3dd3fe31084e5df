"""The fences that `mutations.py` takes away are still where it looks for them."""

import pytest
from faults.mutations import FENCES, ROOT, Mutation


@pytest.mark.parametrize("mutation", FENCES, ids=lambda mutation: mutation.fence)
def test_a_fence_is_there_once(mutation: Mutation) -> None:
    """A mutation that finds nothing to remove would show nothing."""
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert (ROOT / mutation.test.partition("::")[0]).is_file()
    assert f"| {mutation.fence} |" in (ROOT / "docs" / "promise.md").read_text()
