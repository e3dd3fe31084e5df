"""Tests here need Prometheus and Alertmanager, or their tools."""

import os

import pytest
from support.processes import Unavailable
from support.prometheus import find


@pytest.fixture(autouse=True)
def _programs() -> None:
    """All programs are there, or the test is skipped; where CI=true it fails."""
    try:
        for program in ("prometheus", "promtool", "alertmanager", "amtool"):
            find(program)
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{error} (skipped elsewhere, needed where CI=true)", pytrace=False)
        pytest.skip(f"a real part is missing: {error}")
