"""docs/plant.md: its example is a plant, its tables are the declaration."""

import re
from pathlib import Path

from twin.plant import loads
from twin.plant.schema import reference

DOCS = (Path(__file__).parents[4] / "docs/plant.md").read_text(encoding="utf-8")


def test_the_example_is_a_plant() -> None:
    example = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert example is not None
    plant = loads(example[1], "docs/plant.md")
    assert [station.id for station in plant.stations] == ["press", "cartons", "filler", "sealer"]


def test_the_reference_is_the_declaration() -> None:
    _, _, written = DOCS.partition("## Every key\n\n")
    assert written == reference(), "run `make docs`"
