"""A family is one module and one entry of the plant: late events, kills, partitions, upgrade and recompute are not its.

Three that are made up, one of each kind of state (tests/families), through all that a state goes through.
"""

import inspect
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.families.beats import Beats
from tests.families.drift import Drift
from tests.families.noise import Noise
from tests.support.families import Row, check_kills, counting, fold
from twin.audit.digest import digest
from twin.audit.query import query
from twin.audit.recompute import recompute
from twin.audit.verify import verify
from twin.line import PartitionTwin
from twin.line.change import carried
from twin.line.snapshot import SnapshotError
from twin.measures.families import FAMILIES
from twin.measures.protocol import Make
from twin.plant import loads
from twin.replay import replay
from twin.sources import open_logs

S: Final = 1_000_000_000
T0: Final = 1_772_409_600 * S
MADE_UP: Final[dict[str, Make]] = {"noise": Noise.of, "beats": Beats.of, "drift": Drift.of}


def text(lines: str = "LM", more: str = "", revise: str = 'revise = "1h"') -> str:
    """One entry for each family, at the station of each line."""
    entry = "".join(
        f'[[line.station.measure]]\nid = "{name}"\nkind = "gauge"\nunit = "mm"\nquantity = "{name}"\n'
        for name in MADE_UP
    )
    return 'site = "test"\narea = [{ id = "a" }]\n' + "".join(
        f'[[line]]\nid = "{line}"\narea = "a"\ntype = "flow"\npublish_every = "1min"\nlateness = "0s"\n{revise}\n'
        f'windows = ["10min/1min"]\n{more}[[line.station]]\nid = "s"\nideal_cycle = "1s"\n{entry}'
        f'[[line.calendar.shift]]\nid = "day"\ndays = "Mon-Sun"\nhours = "00:00 - 00:00"\n'
        for line in lines
    )


def log(lines: str = "LM", late: float = 0.0, seed: int = 1) -> list[Row]:
    """Values of every measure, each instant with a value of its own; some come minutes late."""
    drawn = random.Random(seed)  # noqa: S311 -- a log, no secret
    events: list[tuple[float, Row]] = []
    for k in range(240):
        for line in lines:
            for name in MADE_UP:
                head = {"type": "measure", "ts": T0 + 7 * k * S, "line": line, "station": "s", "measure": name}
                delay = drawn.randrange(60, 600) if drawn.random() < late else 0
                events.append((7 * k + delay, head | {"value": drawn.randrange(-9, 9)}))
    events.sort(key=lambda pair: pair[0])
    ends = [{"type": "heartbeat", "ts": T0 + s * S, "line": line} for s in (3_600, 3_660) for line in lines]
    return [event for _, event in events] + ends


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, make in MADE_UP.items():
        monkeypatch.setitem(FAMILIES, name, make)
    yield


@pytest.mark.usefixtures("made_up")
def test_each_is_one_module_and_one_entry(capsys: pytest.CaptureFixture[str]) -> None:
    plant = loads(text())
    rows = fold(PartitionTwin(plant, 0), plant, log())
    assert {row["chart"] for name, row in rows if name == "samples"} == {"beats", "drift"}
    assert {row["order"] for name, row in rows if name == "measures"} == {None, "noise"}
    assert any(row["kind"] == "beats" for name, row in rows if name == "alerts")
    for name, make in MADE_UP.items():
        module = inspect.getmodule(make)
        assert module is not None and module.__file__ is not None
        with capsys.disabled():
            print(f"\n{name}: {Path(module.__file__).name} and one [[line.station.measure]]", end="")  # noqa: T201
        assert text("L").count(f'id = "{name}"') == 1 and Path(module.__file__).stem == name


@pytest.mark.usefixtures("made_up")
def test_sums_and_sequence_are_those_of_plain_python() -> None:
    plant = loads(text("L"))
    events = log("L")
    rows = fold(PartitionTwin(plant, 0), plant, events)
    values = {name: [e["value"] for e in events if e.get("measure") == name] for name in MADE_UP}
    total, sums = 0, []
    for value in values["drift"]:
        total = total // 2 + 256 * value
        sums.append(total)
    assert [row["total"] for name, row in rows if name == "samples" and row["chart"] == "drift"] == sums
    back = [b for a, b in itertools.pairwise(values["beats"]) if a < 0 <= b]
    assert [row["total"] for name, row in rows if name == "samples" and row["chart"] == "beats"] == back
    steps = [b - a for a, b in itertools.pairwise(values["noise"]) if a != b]
    turns = sum(a * b < 0 for a, b in itertools.pairwise(steps))
    assert sum(row["n"] for name, row in rows if name == "measures" and row["order"] == "noise") == turns


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("seed", range(3))
def test_late_events_end_where_they_belong(seed: int) -> None:
    plant = loads(text())
    events = log(late=0.1, seed=seed)
    got = fold(PartitionTwin(plant, 0), plant, events)
    assert any(row["revision"] for _, row in got)
    in_order = sorted(events, key=lambda event: event["ts"])
    assert counting(got) == counting(fold(PartitionTwin(plant, 0), plant, in_order))


@pytest.mark.usefixtures("made_up")
def test_a_kill_at_any_place() -> None:
    check_kills(loads(text()), log(late=0.1), 97)


@pytest.mark.usefixtures("made_up")
def test_two_workers() -> None:
    plant = loads(text())
    events = log(late=0.1)
    together = fold(PartitionTwin(plant, 0), plant, events)
    apart = []
    for number, line in enumerate("LM"):
        apart += fold(PartitionTwin(plant, number), plant, [e for e in events if e["line"] == line])
    assert counting(apart) == counting(together)


def test_an_upgrade_and_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state from before the family was: it begins there. A state with it, where it is not known, is refused."""
    plant = loads(text())
    events = log()
    old = PartitionTwin(plant, 0)
    before = fold(old, plant, events[:700])
    saved = old.snapshot()
    assert not any(name == "samples" for name, _ in before)
    for name, make in MADE_UP.items():
        monkeypatch.setitem(FAMILIES, name, make)
    twin = PartitionTwin.restore(plant, 0, saved)
    after = fold(twin, plant, events[700:], 700)
    drift = [row for name, row in after if name == "samples" and row["chart"] == "drift" and row["line"] == "L"]
    assert [row["point"] for row in drift] == list(range(len(drift)))
    known = twin.snapshot()
    for name in MADE_UP:
        monkeypatch.delitem(FAMILIES, name)
    with pytest.raises(SnapshotError, match="a family"):
        PartitionTwin.restore(plant, 0, known)


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("more", ["", 'policy = "nakajima"\n'])
def test_the_plant_changes(more: str) -> None:
    """What it measures goes on, in a line that is the same and in one that is another."""
    first, second = loads(text()), loads("revision = 2\n" + text(more=more))
    events = sorted(log(), key=lambda event: event["ts"])
    whole = fold(PartitionTwin(first, 0), first, events)
    twin = PartitionTwin(first, 0)
    got = fold(twin, first, events[:700])
    twin = carried(first, second, 0, twin.snapshot())
    got += fold(twin, second, events[700:], 700)
    apart = ("model", "line_model", "revision", "revised", "retracted")

    def samples(rows: list[tuple[str, Row]]) -> Counter[Any]:
        found = (row for name, row in rows if name == "samples")
        return Counter(tuple(str(v) for k, v in row.items() if k not in apart) for row in found)

    assert samples(got) == samples(whole)


@pytest.mark.usefixtures("made_up")
def test_recompute_and_digest(tmp_path: Path) -> None:
    plant = loads(text())
    events = log(late=0.1)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    for name in ("one", "other"):
        replay(plant, open_logs([tmp_path / "log.jsonl"], plant), tmp_path / name)
    assert verify(tmp_path / "one").differences == []
    assert recompute(tmp_path / "one").differences == []
    assert digest(tmp_path / "one") == digest(tmp_path / "other")
    found = query(str(tmp_path / "one"), "SELECT chart, count(*) AS n FROM samples GROUP BY chart").to_pylist()
    assert {row["chart"]: row["n"] for row in found}["drift"] == 2 * 240
