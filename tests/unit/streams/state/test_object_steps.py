"""Deaths at calls to an object store, before, behind and during them: every one of them is `make store`."""

import pytest

from tests.faults.objects import everywhere
from tests.faults.versions import SHORT_DAY_NS
from twin.audit import bases


@pytest.mark.parametrize("waits", [False, True])
def test_dies_at_a_call_and_starts_elsewhere(waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "DAY_NS", SHORT_DAY_NS)
    found = everywhere(every=17, waits=waits)
    assert not found["wrong"]
    assert found["hit"] == found["plans"] >= 6
    assert {way.split()[0] for way in found["kinds"]} >= {"before", "behind"}
