"""A new type of event is met everywhere: each place that tells types apart is asked for every one."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import Phase, find, settings

from kernels.codes import EVENT_NAMES
from kernels.fold import layout as at
from tests.fuzz.worlds import worlds
from tests.random_logs import ended, late, logs
from twin.audit.formats import MEANINGS
from twin.events.declare import PAYLOAD, TYPE_CODE, WIRE, meaning
from twin.line.events import PHASES
from twin.results import EVENTS
from twin.sources.mapping import FIELDS

HERE = Path(__file__).parents[2]
# Nothing of an instant depends on where they stand in it.
NO_PHASE = {"heartbeat", "correction"}
# What has no place in the log of a machine.
NOT_MAPPED = {"correction"}


def test_each_has_a_phase() -> None:
    other = {name for name, code in TYPE_CODE.items() if (PHASES[code] == at.PHASE_OTHER).all()}
    assert len(PHASES) == len(EVENT_NAMES)
    assert other == NO_PHASE


def test_each_can_be_mapped_or_cannot() -> None:
    assert set(EVENT_NAMES) - FIELDS.keys() == NOT_MAPPED
    for name, (code, fields) in FIELDS.items():
        assert code == TYPE_CODE[name]
        assert len(fields) == sum(field.mapped for field in PAYLOAD[code])


def test_each_field_stands_in_the_audit_and_says_what_it_is() -> None:
    assert set(WIRE) <= set(EVENTS.names)
    for name in WIRE:
        assert meaning(name) and "|" not in meaning(name)
        assert MEANINGS["events"][name]


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_random_logs_have_it(name: str) -> None:
    drawn = logs(True, True).flatmap(late).map(ended)
    quick = settings(max_examples=500, database=None, deadline=None, phases=[Phase.generate])
    find(drawn, lambda log: any(event.type == TYPE_CODE[name] for event in log), settings=quick)


def test_fuzzed_records_have_it() -> None:
    own = next(world for world in worlds() if world.name == "own")
    assert {json.loads(record)["type"] for record in own.records} == set(EVENT_NAMES)


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_a_naive_twin_knows_it(name: str) -> None:
    """Corrections are made by hand in the twin of revisions, before the naive one sees the log."""
    files = [HERE / "property" / "test_revision_property.py"] if name == "correction" else HERE.glob("naive*.py")
    said = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    assert any(isinstance(node, ast.Attribute) and node.attr == name.upper() for node in said)
