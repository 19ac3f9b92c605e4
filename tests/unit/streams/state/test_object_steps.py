"""Deaths at calls to an object store, before, behind and during them: every one of them is `make store`."""

import pytest

from tests.faults.objects import everywhere


@pytest.mark.parametrize("waits", [False, True])
def test_dies_at_a_call_and_starts_elsewhere(waits: bool) -> None:
    found = everywhere(every=17, waits=waits)
    assert not found["wrong"]
    assert found["hit"] >= 6
