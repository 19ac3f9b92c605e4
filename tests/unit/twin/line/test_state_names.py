"""Snapshots name what they hold: older ones are read, later ones refused, and appended columns move nothing."""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kernels import codes
from kernels.fold import layout as at
from kernels.fold.arrays import State
from tests.support.fold import rows
from twin.events.block import EventBlock
from twin.line import PartitionTwin, shape
from twin.line import snapshot as snap
from twin.line.engine import _SAVED_LINE
from twin.line.events import PHASES
from twin.line.former import NAMES_3
from twin.line.shape import ARRAYS, NAMES, NEUTRAL, ROOM, ROWS, SnapshotError
from twin.plant import load
from twin.rules import RULES
from twin.wire.decode import Decoder

DATA = Path(__file__).parents[3] / "data" / "former"
PLANT = load(DATA / "plant.toml")
LOG = (DATA / "log.jsonl").read_bytes().splitlines()
HALF = 463  # events that were folded when a193fe3 wrote format-3.state: late ones and a jump wait, a stop is undecided
I64 = shape.I64


def events(begin: int, end: int) -> EventBlock:
    block, refused = Decoder(PLANT).decode(LOG[begin:end], range(begin, end))
    assert not refused
    return block


def half() -> PartitionTwin:
    twin = PartitionTwin(PLANT, 0)
    twin.fold(events(0, HALF))
    return twin


@cache
def half_saved() -> bytes:
    return half().snapshot()


@cache
def half_restored() -> PartitionTwin:
    return PartitionTwin.restore(PLANT, 0, half_saved())


def test_a_snapshot_of_format_3_is_read_to_the_last_number() -> None:
    """Its plant, its log and its state were written by main a193fe3."""
    state = (DATA / "format-3.state").read_bytes()
    saved = snap.decode(state)
    assert (saved.version, saved.rules, saved.code, saved.names) == (3, 1, "", NAMES_3)
    assert [len(saved.histories[0].late), len(saved.held_values)] == [1, 1]
    again = rewritten(snap.decode(PartitionTwin.restore(PLANT, 0, state).snapshot()), NAMES_3)
    assert again.arrays == saved.arrays
    assert (again.held, again.waiting, again.sequences) == (saved.held, saved.waiting, saved.sequences)
    assert (again.texts, again.memory, again.arrival) == (saved.texts, saved.memory, saved.arrival)
    assert again.histories[0].events == saved.histories[0].events
    assert again.histories[0].late == saved.histories[0].late
    both = zip(again.histories[0].bases, saved.histories[0].bases, strict=True)
    for (ts, now), (then, before) in both:
        now_, before_ = snap.unsqueeze(now, _SAVED_LINE), snap.unsqueeze(before, _SAVED_LINE)
        assert (ts, now_.arrays, now_.texts) == (then, before_.arrays, before_.texts)


def test_a_snapshot_of_format_3_goes_on_as_if_nothing_had_happened() -> None:
    """Of the rows only what hardly any rule can change: this log has no count at the instant of another event."""
    columns = ["line", "station", "window", "start", "end", "good", "revision"]

    def parts(twin: PartitionTwin) -> list[tuple[Any, ...]]:
        table = twin.fold(events(HALF, len(LOG))).tables["kpis"]
        return sorted(rows(table.select(columns)), key=repr)

    found = parts(PartitionTwin.restore(PLANT, 0, (DATA / "format-3.state").read_bytes()))
    assert found == parts(half())
    assert len(found) > 100
    assert any(row[-1] for row in found)


def test_every_array_and_every_column_has_a_name() -> None:
    # Further places are the last rows of `stations`, and kept apart.
    assert tuple(ARRAYS) == (*State._fields, "places") == NAMES["array"]
    assert {axis for array in ARRAYS.values() for axis in array.axes} <= {*NAMES, ROWS, ROOM}
    sizes = {
        "line": at.N_L,
        "station": at.N_S,
        "vector": codes.N_COLUMNS,
        "delta": codes.N_COLUMNS + 1,
        "scope": at.N_SCOPES,
        "closing": at.N_X,
        "tick": at.N_T,
        "own tick": at.N_TO,
        "own closing": at.N_CO,
        "path": 2,
        "pane": len(at.PANE_COLUMNS),
        "buffer": at.N_B,
        "counter": at.N_K,
        "event": at.N_E,
        "sequence": at.N_Q,
        "interval": at.N_IO,
        "class": codes.STOPPED + 1,
        "type": len(PHASES),
        "phase": int(PHASES.max()) + 1,
        "array": len(ARRAYS),
    }
    assert {axis: len(names) for axis, names in NAMES.items()} == sizes
    assert all(len(set(names)) == len(names) for names in NAMES.values())
    assert [codes.COLUMN_NAMES[k] for k in (codes.STOPPED, codes.GOOD, codes.CAUSAL_NS)] == [
        "stopped",
        "good",
        "causal_ns",
    ]


def test_the_names_of_format_3_are_all_known() -> None:
    shape.Translation(NAMES_3)


def rewritten(saved: snap.SavedState, names: Mapping[str, Sequence[str]]) -> snap.SavedState:
    """As a version with these names would have written it. A line of `vectors` has the squares of its stations."""

    def moved(data: I64, axes: Sequence[str]) -> I64:
        for k, axis in enumerate(axes):
            if axis in names:
                data = np.take(data, [NAMES[axis].index(one) for one in names[axis]], axis=k)
        return data

    def theirs(axis: str) -> I64:
        some = names[axis]
        return np.array([*(some.index(one) if one in some else -2 for one in NAMES[axis]), -1])

    def renumbered(cells: I64, axis: str) -> None:
        cells[...] = theirs(axis)[cells]

    def arrays(given: Mapping[str, bytes], lines: Sequence[int], width: int) -> dict[str, bytes]:
        written = {}
        for name in names["array"]:
            axes = ARRAYS[name].axes
            shape_ = [-1 if axis == ROWS else width if axis == ROOM else len(NAMES[axis]) for axis in axes]
            data = np.frombuffer(given[name], np.int64).copy()
            pieces = [data]
            if axes[0] != ROWS:
                squares = [2 * len(PLANT.lines[line].stations) ** 2 for line in lines]
                pieces = np.split(data, np.cumsum(squares)[:-1])
            parts = []
            for piece in pieces:
                part = piece.reshape(shape_)
                if name == "lines":
                    renumbered(part[:, at.L_CALENDAR], "class")
                if name == "stations":
                    renumbered(part[:, at.S_CLASS], "class")
                    renumbered(part[:, at.S_REPORTED], "class")
                    renumbered(part[:, at.S_HIDDEN], "class")
                parts.append(moved(part, axes).tobytes())
            written[name] = b"".join(parts)
        return written

    def event_rows(data: bytes) -> bytes:
        found = np.frombuffer(data, np.int64).reshape(-1, at.N_E).copy()
        states = found[:, at.E_TYPE] == codes.STATE
        found[states, at.E_CODE] = theirs("class")[found[states, at.E_CODE]]
        renumbered(found[:, at.E_TYPE], "type")
        return moved(found, (ROWS, "event")).tobytes()

    def memory(mine: Any) -> Any:
        stops = np.array(mine.stops, np.int64).reshape(-1, at.N_IO)
        renumbered(stops[:, at.IO_CLASS], "class")
        return msgspec.structs.replace(mine, stops=moved(stops, (ROWS, "interval")).tolist())

    def history(line: int, one: Any) -> Any:
        bases = []
        for ts, data in one.bases:
            base = snap.unsqueeze(data, _SAVED_LINE)
            base.arrays, base.memory = arrays(base.arrays, [line], base.closings), memory(base.memory)
            bases.append((ts, snap.squeeze(base)))
        late = [(due, event_rows(row), value, offset) for due, row, value, offset in one.late]
        told = [(due, event_rows(row), value, offset) for due, row, value, offset in one.corrections]
        return msgspec.structs.replace(one, bases=bases, events=event_rows(one.events), late=late, corrections=told)

    sequences = np.frombuffer(saved.sequences["values"], np.int64).reshape(-1, at.N_Q)
    return msgspec.structs.replace(
        saved,
        names=dict(names),
        arrays=arrays(saved.arrays, saved.lines, saved.closings),
        held=event_rows(saved.held),
        waiting=event_rows(saved.waiting),
        sequences={**saved.sequences, "values": moved(sequences, (ROWS, "sequence")).tobytes()},
        memory={line: memory(mine) for line, mine in saved.memory.items()},
        histories={line: history(line, one) for line, one in saved.histories.items()},
    )


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_columns_classes_and_types_is_the_same_state(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  a seeded draw
    whole = half_saved()
    names = {axis: tuple(chance.sample(some, len(some))) for axis, some in NAMES.items() if axis != "phase"}
    names["phase"] = NAMES["phase"]
    other = snap.squeeze(rewritten(snap.decode(whole), names))
    assert other != whole
    assert PartitionTwin.restore(PLANT, 0, other).snapshot() == whole


COLUMNS = [(axis, name) for axis, names in NAMES.items() if axis not in ("class", "type", "phase") for name in names]


@pytest.mark.parametrize(("axis", "name"), COLUMNS)
def test_a_column_that_was_not_there_yet_is_neutral_and_nothing_else_changes(axis: str, name: str) -> None:
    """Every array and every column, one at a time, as if this version had just brought it."""
    names = {one: tuple(column for column in some if (one, column) != (axis, name)) for one, some in NAMES.items()}
    written = shape.Translation(names)
    assert not written.same
    full, n, lines = half_restored().engine.state, half_restored().engine.numbers, (0, 1)
    room = shape.CLOSINGS
    for array, (_, axes) in ARRAYS.items():
        for line in lines:
            where = snap.spans(n, line)[array]
            part = snap.part(array, getattr(full, array), where)
            if ROOM in axes:
                part = part[:, :room]
            expected = part.copy()
            if axis in axes:
                neutral = NEUTRAL.get((axis, name), 0)
                # What is computed from the rest of the state comes later: see the next test.
                value = 0 if callable(neutral) else neutral
                np.moveaxis(expected, axes.index(axis), 0)[NAMES[axis].index(name)] = value
            if (axis, name) == ("array", array):
                expected[...] = 0
                continue
            n_rows = where.stop - where.start
            cells = np.concatenate([np.zeros(0, np.int64), part.reshape(-1)])
            if axis in axes:
                cells = np.delete(part, NAMES[axis].index(name), axes.index(axis)).reshape(-1)
            assert len(cells) == written.size(array, n_rows, room)
            assert (written.array(array, cells, n_rows, room) == expected).all()
    if axis in ("event", "sequence", "interval"):
        sizes = {"event": at.N_E, "sequence": at.N_Q, "interval": at.N_IO}
        some = np.arange(3 * sizes[axis]).reshape(3, -1)
        got = written.rows(axis, np.delete(some, NAMES[axis].index(name), 1).reshape(-1))
        some[:, NAMES[axis].index(name)] = NEUTRAL.get((axis, name), 0)
        assert (got == some).all()


def test_a_missing_array_is_neutral_and_a_missing_column_may_be_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = snap.decode(half_saved())
    names = {axis: tuple(one for one in some if one not in ("pane_base", "oldest")) for axis, some in NAMES.items()}
    monkeypatch.setitem(shape.NEUTRAL, ("array", "pane_base"), lambda x, n, line: np.full((1, 4), 7 + line))
    monkeypatch.setitem(shape.NEUTRAL, ("line", "oldest"), lambda x, n, line: x.lines[line, at.L_T0] + 1)
    state = PartitionTwin.restore(PLANT, 0, snap.squeeze(rewritten(saved, names))).engine.state
    assert state.pane_base.tolist() == [[7] * 4, [8] * 4, [8] * 4]
    assert (state.lines[:, at.L_OLDEST] == state.lines[:, at.L_T0] + 1).all()
    monkeypatch.setitem(shape.NEUTRAL, ("line", "oldest"), -1)
    state = PartitionTwin.restore(PLANT, 0, snap.squeeze(rewritten(saved, names))).engine.state
    assert (state.lines[:, at.L_OLDEST] == -1).all()


def test_a_time_class_that_was_put_in_between_moves_no_time() -> None:
    """The classes of the older version end one sooner: its `stopped`, its parts and its flag stood one place before."""
    whole = half_restored()
    x = whole.engine.state
    assert not x.total[:, codes.MAINTENANCE].any()  # nothing of it in this log
    assert (x.stations[:, at.S_CLASS] == codes.STOPPED).any()
    names = {
        axis: tuple(one for one in some if axis not in ("vector", "delta", "class") or one != "maintenance")
        for axis, some in NAMES.items()
    }
    older = rewritten(snap.decode(half_saved()), names)
    stations = np.frombuffer(older.arrays["stations"], np.int64).reshape(-1, at.N_S)
    assert stations[:, at.S_CLASS].max() == codes.STOPPED - 1
    assert PartitionTwin.restore(PLANT, 0, snap.squeeze(older)).snapshot() == half_saved()


def test_other_phases_are_given_anew_and_kept_events_sorted_again() -> None:
    whole = half()
    saved = snap.decode(whole.snapshot())
    names = {**NAMES, "phase": ("count", "state")}
    older = msgspec.structs.replace(saved, names=names)
    events_ = np.frombuffer(older.histories[0].events, np.int64).reshape(-1, at.N_E).copy()
    events_[:, at.E_PHASE] = 99
    older.histories[0].events = events_[::-1].tobytes()
    assert PartitionTwin.restore(PLANT, 0, snap.squeeze(older)).snapshot() == whole.snapshot()


def changed(**fields: Any) -> bytes:
    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(snap.decode(half_saved())))
    return snap.squeeze({**raw, **fields})


def test_a_later_version_or_later_rules_are_refused_and_named() -> None:
    with pytest.raises(
        SnapshotError, match=r"written by taktwin 9\.9\.9 and has format 5, this one \(.*\) reads 3 to 4"
    ):
        snap.decode(changed(version=5, code="9.9.9", whatever=[]))
    with pytest.raises(
        SnapshotError, match=rf"folded under rules {RULES + 1}, this one \(.*\) knows rules up to {RULES}"
    ):
        snap.decode(changed(rules=RULES + 1, code="9.9.9"))
    with pytest.raises(SnapshotError, match=r"unknown field `whatever`.*written by taktwin 9\.9\.9"):
        snap.decode(changed(code="9.9.9", whatever=[]))
    assert snap.decode(changed(rules=1)).rules == 1


@pytest.mark.parametrize("axis", NAMES)
def test_an_unknown_name_is_refused_unless_nothing_needs_it(axis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {**NAMES, axis: (*NAMES[axis], "future")}
    with pytest.raises(SnapshotError, match=f"holds `future` of a {axis}, which this version does not know"):
        PartitionTwin.restore(PLANT, 0, changed(names=names))
    monkeypatch.setattr(shape, "DROPPED", frozenset({(axis, "future")}))
    shape.Translation(names)


def test_names_that_are_damaged_are_refused() -> None:
    with pytest.raises(SnapshotError, match="twice"):
        PartitionTwin.restore(PLANT, 0, changed(names={**NAMES, "line": (*NAMES["line"], "seen")}))
    for axis in NAMES:
        if axis in ("array", "phase", "interval", "own tick"):  # nothing here is an interval, or an order of a station
            continue
        short = {**NAMES, axis: NAMES[axis][: len(NAMES[axis]) // 2]}
        with pytest.raises(SnapshotError):
            PartitionTwin.restore(PLANT, 0, changed(names=short))
    saved = snap.decode(half_saved())
    short = {name: data for name, data in saved.arrays.items() if name != "total"}
    with pytest.raises(SnapshotError):
        PartitionTwin.restore(PLANT, 0, changed(arrays=short))
