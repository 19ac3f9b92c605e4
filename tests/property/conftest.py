"""Small logs go all ways that large ones go."""

import pytest

from twin.line import partition


@pytest.fixture(autouse=True, scope="session")
def _short_way_of_few_events() -> None:
    """Events that come in order go their short way from a block of so few on; in smaller ones all go as rows."""
    patch = pytest.MonkeyPatch()
    patch.setattr(partition, "_FEW_EVENTS", 3)
    patch.setattr(partition, "_MOST_RESTING", 1)
