"""What moves the hash of a plant and of a line, and what must not: a moved hash starts lines anew."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kernels import codes
from kernels.codes import CLASS_NAMES
from tests.random_logs import START, ended, small_plant
from tests.support.fold import Ev, S, dicts, fold_once
from twin.audit import models
from twin.plant import canonical, kept, load, loads, shape
from twin.plant.canonical import canonical_text, line_hash, model_hash, states_of
from twin.plant.model import Limits, Plant, Station, later

DEMO = Path(__file__).parents[4] / "examples" / "demo" / "plant.toml"
SMALL = """
site = "Works"
[[area]]
id = "hall"
[[line]]
id = "L"
area = "hall"
type = "flow"
{line}
[[line.station]]
id = "A"
{station}
[[line]]
id = "M"
area = "hall"
type = "flow"
[[line.station]]
id = "A"
"""


def small(line: str = "", station: str = "") -> Plant:
    return loads(SMALL.format(line=line, station=station))


def test_the_demo_plant_has_the_hash_it_had_when_its_roots_were_written() -> None:
    assert load(DEMO).hash == "fca07dbcb8fcdc5f"
    assert [line_hash(line) for line in load(DEMO).lines] == ["7ae20c17ee4e2bf9", "0e89148aa40f17d2"]


@dataclass(frozen=True, slots=True)
class Wider(Station):
    """A station of a later version."""

    places: int = later(1)
    resets: bool = later(absent=False)


def test_a_new_key_with_its_default_leaves_the_hash() -> None:
    plant = small()

    def wider(**given: Any) -> Plant:
        stations = tuple(Wider("A", states=one.states, **given) for one in plant.lines[0].stations)
        return replace(plant, lines=(replace(plant.lines[0], stations=stations), plant.lines[1]))

    assert canonical_text(wider()) == canonical_text(plant)
    assert line_hash(wider().lines[0]) == line_hash(plant.lines[0])
    for given in ({"places": 2}, {"resets": True}):
        assert model_hash(wider(**given)) != plant.hash
        (name, value), *_ = given.items()
        assert json.loads(canonical_text(wider(**given)))["lines"][0]["stations"][0][name] == value


def test_a_stored_model_without_a_later_field_means_its_absence() -> None:
    whole = models._whole(Wider, {"id": "A", "places": 3, **_numbers(Station("A"))}, "station")
    assert (whole["places"], whole["resets"], whole["inputs"]) == (3, False, ())
    assert models._whole(Wider, {"id": "A", **_numbers(Station("A"))}, "station")["places"] == 1


def _numbers(station: Station) -> dict[str, Any]:
    return {name: getattr(station, name) for name in ("parts_from", "minor_stop_ns", "staleness_ns")}


def test_a_line_keeps_its_hash_while_others_change() -> None:
    before, after = small(), small(station='ideal_cycle = "2s"')
    assert before.hash != after.hash
    assert [line_hash(one) for one in before.lines][1] == [line_hash(one) for one in after.lines][1]
    assert line_hash(before.lines[0]) != line_hash(after.lines[0])
    assert line_hash(before.lines[0]) != line_hash(replace(before.lines[0], limits=Limits(down_ns=None)))


def test_a_time_class_put_in_between_leaves_the_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As it will be when there is one more: numbers behind it move, every station knows its name."""
    plant = small(station='states = { run = "running", off = "stopped" }')
    more = (*CLASS_NAMES[:-1], "waste", CLASS_NAMES[-1])

    def renumbered(station: Station, **words: int) -> Station:
        states = {word: more.index(CLASS_NAMES[code]) for word, code in station.states.items()}
        return replace(station, states={**states, "waste": more.index("waste"), **words})

    def with_more(**words: int) -> Plant:
        lines = tuple(
            replace(line, stations=tuple(renumbered(one, **words) for one in line.stations)) for line in plant.lines
        )
        return replace(plant, lines=lines)

    monkeypatch.setattr(canonical, "CLASS_NAMES", more)
    assert model_hash(with_more()) == plant.hash
    other = with_more(spill=more.index("waste"))
    assert '"spill":"waste"' in canonical_text(other)
    for one in (with_more(), other):
        models.store(tmp_path, replace(one, hash=model_hash(one)))
        assert models.load(tmp_path, model_hash(one)).lines[0].stations == one.lines[0].stations


@pytest.mark.parametrize("said", [13, -1, "nothing", None])
def test_a_class_that_is_not_known_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="is not known"):
        states_of({"run": said})


def test_a_changed_default_starts_nobody_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one_line = SMALL[: SMALL.rindex("[[line]]")]

    def plant(line: str = "") -> Plant:
        return loads(one_line.format(line=line, station=""), str(file))

    file = tmp_path / "plant.toml"
    file.write_text(one_line.format(line="", station=""))
    # As if minor_stop had been 4 minutes once, and after that max_jump 5 days.
    changes = (_former("minor_stop", "4min"), _former("max_jump", "5d"))
    monkeypatch.setattr(sys.modules["twin.plant.load"], "FORMER", changes)
    today, second = plant(), plant('max_jump = "5d"')
    first = plant('minor_stop = "4min"\nmax_jump = "5d"')
    assert len({today.hash, second.hash, first.hash}) == 3
    assert kept(file, [first.hash]) == (first, ("max_jump", "minor_stop"))
    assert kept(file, [first.hash, second.hash]) == (second, ("max_jump",))
    assert kept(file, [first.hash, today.hash]) == (today, ())
    assert kept(file, ["0123456789abcdef"]) == kept(file, []) == (today, ())


def _former(key: str, default: str) -> shape.Former:
    return shape.Former("A line", key, default)


def test_former_defaults_reach_every_table() -> None:
    for table, key in (
        (shape.STATION.title, "minor_stop"),
        ("A shift", "days"),
        ("When the line raises an alert", "down"),
    ):
        text = json.dumps(str(shape.with_former(shape.PLANT, shape.Former(table, key, "here it is"))))
        assert "here it is" in text, table


@pytest.mark.parametrize("former", shape.FORMER)
def test_every_former_default_is_one_of_a_key(former: shape.Former) -> None:
    assert shape.with_former(shape.PLANT, former) != shape.PLANT


def test_rows_carry_the_hash_of_their_line_beside_that_of_the_plant() -> None:
    """A change of one line gives the rows of another the same `line_model` and another `model`."""
    one = small_plant(True, False, False, lines=2)
    other = replace(one, lines=(one.lines[0], replace(one.lines[1], policy="nakajima")))
    log = [Ev(START + k * S, codes.STATE, 3 * line, codes.RUNNING, line=line) for k in range(30) for line in (0, 1)]
    found = []
    for plant in (one, other):
        plant = replace(plant, hash=model_hash(plant))
        rows = dicts([fold_once(plant, ended(log))[1]], "kpis")
        assert {row["model"] for row in rows} == {plant.hash}
        found.append({row["line"]: row["line_model"] for row in rows})
    assert found[0]["L"] == found[1]["L"] == line_hash(one.lines[0])
    assert found[0]["M"] == line_hash(one.lines[1]) != found[1]["M"]


def test_reasons_and_targets_leave_every_line_as_it_is() -> None:
    plain = small()
    more = loads(
        SMALL.format(line="", station="")
        + '[line.target]\noee = 0.7\nparts_per_hour = { "*" = 90 }\n[[reason]]\nid = "jam"\nclass = "down"\n'
    )
    assert [line_hash(one) for one in more.lines] == [line_hash(one) for one in plain.lines]
    assert more.hash != plain.hash and plain.reasons == () and plain.targets == ()


def test_reasons_and_targets_come_back_from_a_root(tmp_path: Path) -> None:
    plant = loads(
        SMALL.format(line="", station="")
        + '[line.target]\nchangeover = "20min"\nparts_per_hour = { "*" = 90 }\n'
        + '[[reason]]\nid = "film"\nlabel = { de = "Folie" }\n[[reason]]\nid = "torn"\nparent = "film"\n'
        + 'stations = "A"\nclass = "setup"\nretired = 2027-01-01\n'
    )
    models.store(tmp_path, plant)
    assert replace(models.load(tmp_path, plant.hash), source=plant.source) == plant
