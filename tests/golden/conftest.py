"""Tables that golden cases name."""

from pathlib import Path

import pytest

from twin.figures import tables


@pytest.fixture(autouse=True)
def golden_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "FOLDERS", [Path(__file__).parents[1] / "data" / "mass-production"])
