"""Attack: work of a partition ends after another worker has got it."""

import asyncio

import pytest
from support.lanes import eventually, fill, group_offsets, reading

from workers.demo.broker import MockCluster

pytestmark = pytest.mark.timeout(60)


async def test_work_that_ends_too_late_moves_no_offset(mock_cluster: MockCluster) -> None:
    """The broker would take the commit, and the new owner's unfinished records would be skipped."""
    fill(mock_cluster, 2, 5)
    async with reading(mock_cluster, release=False) as first:
        await eventually(lambda: len(first.taken) == 10)
        async with reading(mock_cluster, release=False) as second:
            await eventually(lambda: len(second.owned()) == len(first.owned()) == 1, 20)
            (kept,), (moved,) = first.owned(), second.owned()
            for record in first.taken:
                record.claim.release()
            servers = mock_cluster.bootstrap_servers
            await asyncio.sleep(1)
            found = await asyncio.to_thread(group_offsets, servers, "group", 2)
            assert found == {kept: 5, moved: 0}
