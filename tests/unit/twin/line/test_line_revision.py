"""Late events and corrections in single steps: what is written again, what is withdrawn, what is refused."""

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from kernels import codes
from kernels.fold.admit import MAX_HELD, MAX_REVISING, MAX_WAITING
from tests.support.fold import FOREVER, Ev, S, block, dicts, heartbeat, multisets, one_line
from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock
from twin.events.declare import STOP, UNDO
from twin.line import PartitionTwin, Results
from twin.line.snapshot import SnapshotError, decode, squeeze, unsqueeze
from twin.plant.model import Limits, Plant, Station, Window

T = 1_700_000_040 * S  # a full minute
WORDS = {"run": codes.RUNNING, "halt": codes.STOPPED, "clean": codes.PLANNED_STOP}


PRESS = Station("press", states=WORDS, staleness_ns=3600 * S, minor_stop_ns=10 * S)
MOST = 366 * 24 * 3600 // 30  # parts in a year of one every 30 s


def plant(revise_s: int | None = 600, **line: Any) -> Plant:
    given = {"max_jump_ns": FOREVER * S // S, "windows": (Window("1min", 60 * S, S),), "limits": Limits(down_ns=None)}
    revise_ns = None if revise_s is None else revise_s * S
    return one_line([PRESS], lateness_ns=5 * S, revise_ns=revise_ns, **{**given, **line})


def state(t: int, word: str, reason: str | None = None, seq: int = -1) -> Ev:
    return Ev(T + t * S, codes.STATE, 0, WORDS[word], x=word, y=reason, seq=seq)


def count(t: int, good: int, scrap: int = 0, seq: int = -1) -> Ev:
    return Ev(T + t * S, codes.COUNT, 0, codes.PARTS, good, scrap, seq=seq)


def correction(t: int, corrects: str, **more: Any) -> Ev:
    return Ev(T + t * S, codes.CORRECTION, 0, **{"code": -1, "a": -1, "b": -1, "c": -1, "x": corrects, **more})


def folded(model: Plant, *events: Ev) -> list[Results]:
    return [PartitionTwin(model, 0).fold(block(events))]


def minutes(results: list[Results], column: str) -> list[tuple[int, Any, int, int | None]]:
    """(minute, value, revision, minute at which it was revised) of the station's rows of one minute."""
    return [
        (
            (row["end"] - T) // (60 * S),
            row[column],
            row["revision"],
            None if row["revised"] is None else (row["revised"] - T) // (60 * S),
        )
        for row in dicts(results, "kpis")
        if row["window"] == "1min" and row["station"]
    ]


def test_a_late_count_writes_its_minute_again_and_no_other() -> None:
    log = [state(0, "run"), count(30, 7), count(150, 1), count(40, 3), count(250, 1), heartbeat(T + 400 * S)]
    results = folded(plant(), *log)
    assert (results[0].late, results[0].revising) == (0, 1)
    # It came when the watermark stood at 145 s, so minute 3 folds it in.
    assert minutes(results, "good")[:3] == [(1, 7, 0, None), (3, 1, 0, None), (1, 10, 1, 3)]
    assert all(revision == 1 and revised is None for _, _, revision, revised in minutes(results, "good")[3:])


def test_without_a_revise_time_it_is_refused() -> None:
    results = folded(plant(None), state(0, "run"), count(150, 1), count(40, 3), heartbeat(T + 400 * S))
    assert (results[0].late, results[0].revising) == (1, 0)
    assert [row["reason"] for row in dicts(results, "rejected")] == ["late"]
    assert not any(row["revision"] for row in dicts(results, "kpis"))


@pytest.mark.parametrize(("age_s", "reasons"), [(600, []), (601, ["late"])])
def test_how_late_is_too_late(age_s: int, reasons: list[str]) -> None:
    newest = 1_700  # not so far ahead that it would have to be confirmed
    log = [state(0, "run"), count(newest, 1), count(newest - 5 - age_s, 3), heartbeat(T + 2_700 * S)]
    assert [row["reason"] for row in dicts(folded(plant(), *log), "rejected")] == reasons


def test_nothing_is_revised_before_the_lines_first_event() -> None:
    results = folded(plant(), state(0, "run"), count(100, 1), count(-1, 3), heartbeat(T + 400 * S))
    assert [row["reason"] for row in dicts(results, "rejected")] == ["late"]


def test_a_stop_that_turns_out_to_be_two() -> None:
    log = [state(0, "halt"), state(100, "run"), state(140, "run"), state(50, "run"), state(60, "halt")]
    rows = dicts(folded(plant(), *log, heartbeat(T + 400 * S)), "states")
    told = [((r["start"] - T) // S, (r["end"] - T) // S, r["class"], r["revision"], r["retracted"]) for r in rows]
    assert told == [
        (0, 100, "down", 0, False),
        (0, 50, "down", 1, False),
        (50, 60, "running", 1, False),
        (60, 100, "down", 1, False),
    ]


def test_a_row_that_is_no_more_is_retracted() -> None:
    log = [state(0, "run"), state(50, "halt"), state(100, "run"), state(140, "run")]
    model = plant()
    rows = dicts(folded(model, *log, state(50, "run"), heartbeat(T + 400 * S)), "states")
    # Of two words at one instant the later one counts: the stop never was.
    gone = [((r["start"] - T) // S, r["revision"]) for r in rows if r["retracted"]]
    assert gone == [(0, 1), (50, 1)]


def test_an_operator_gives_a_stop_its_reason() -> None:
    log = [state(0, "run"), state(20, "halt", seq=7), state(90, "run"), correction(100, "7", y="cap feeder empty")]
    rows = dicts(folded(plant(), *log, heartbeat(T + 400 * S)), "states")
    stops = [(r["reason"], r["revision"]) for r in rows if r["class"] == "down"]
    assert stops == [(None, 0), ("cap feeder empty", 1)]


def test_an_operator_gives_a_stop_its_class() -> None:
    log = [state(0, "run"), state(20, "halt"), state(90, "run"), correction(100, f"{T + 20 * S}", z="clean")]
    results = folded(plant(), *log, heartbeat(T + 400 * S))
    assert minutes(results, "planned_stop_ns")[:3] == [(1, 0, 0, None), (2, 0, 0, None), (1, 40 * S, 1, 2)]
    assert [r["state"] for r in dicts(results, "states") if r["revision"] and r["class"] == "planned_stop"] == ["clean"]


def test_an_operator_corrects_a_count() -> None:
    named = "2023-11-14T22:14:30Z"  # T + 30 s
    log = [state(0, "run"), count(30, 10), count(90, 1), correction(100, named, a=8, b=2)]
    results = folded(plant(), *log, heartbeat(T + 400 * S))
    assert minutes(results, "good")[0] == (1, 10, 0, None)
    assert (1, 8, 1, 2) in minutes(results, "good")
    assert (1, 2, 1, 2) in minutes(results, "scrap")


@pytest.mark.parametrize(
    "wrong",
    [
        correction(100, "8", y="why"),
        correction(100, "1/7", y="why"),
        correction(100, "7", a=3),  # a state has no parts
        correction(100, "yesterday", y="why"),
        correction(100, "7", a=3, y="why"),
    ],
)
def test_a_correction_of_nothing_is_refused(wrong: Ev) -> None:
    log = [state(0, "run"), state(20, "halt", seq=7), state(90, "run"), wrong, heartbeat(T + 400 * S)]
    results = folded(plant(), *log)
    assert [row["reason"] for row in dicts(results, "rejected")] == ["nothing_to_correct"]
    assert not any(row["revision"] for row in dicts(results, "states"))


@pytest.mark.parametrize("parts", [{"a": MOST + 1}, {"b": MOST - 9}, {"a": MOST, "c": 1}])
def test_a_correction_to_more_than_a_station_can_make_is_refused(parts: dict[str, int]) -> None:
    """As the count itself would be; it was cut down to the limit once, without a word."""
    model = plant()
    model = replace(model, lines=(replace(model.lines[0], stations=(replace(PRESS, ideal_cycle_ns=30 * S),)),))
    log = [state(0, "run"), count(30, 10, seq=7), count(90, 1), correction(100, "7", **parts)]
    results = folded(model, *log, heartbeat(T + 400 * S))
    assert [row["reason"] for row in dicts(results, "rejected")] == ["impossible_value"]
    assert not any(row["revision"] for row in dicts(results, "kpis"))


def test_a_line_that_keeps_nothing_has_nothing_to_correct() -> None:
    log = [state(0, "run"), state(20, "halt", seq=7), correction(100, "7", y="why"), heartbeat(T + 400 * S)]
    assert [row["reason"] for row in dicts(folded(plant(None), *log), "rejected")] == ["nothing_to_correct"]


def test_a_correction_of_a_correction() -> None:
    log = [state(0, "run"), count(30, 10), correction(50, f"{T + 30 * S}", a=8), count(130, 0)]
    log += [correction(131, f"{T + 30 * S}", a=9), heartbeat(T + 400 * S)]
    first = [(value, revision) for minute, value, revision, _ in minutes(folded(plant(), *log), "good") if minute == 1]
    assert first == [(10, 0), (8, 1), (9, 2)]


def test_corrections_that_stand_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.line.correction.MAX_STANDING", 2)
    told = [correction(100 + k, "7", a=k) for k in range(4)]
    undo = correction(104, f"{T + 101 * S}", code=UNDO)
    log = [state(0, "run"), count(30, 10, seq=7), count(90, 1), *told, undo, correction(105, "7", a=9)]
    results = folded(plant(), *log, heartbeat(T + 400 * S))
    assert [row["reason"] for row in dicts(results, "rejected")] == ["line_overfull"] * 2
    assert (1, 9, 1, 2) in minutes(results, "good")


def test_kept_state_that_is_damaged_is_noticed() -> None:
    twin = PartitionTwin(plant(), 0)
    twin.fold(block([state(0, "run"), count(700, 1), count(1_000, 1)]))
    saved = decode(twin.snapshot())
    saved.histories[0].bases = [(ts, state[:-3]) for ts, state in saved.histories[0].bases]
    broken = PartitionTwin.restore(plant(), 0, squeeze(saved))
    with pytest.raises(SnapshotError, match="does not unpack"):
        broken.fold(block([count(900, 1), heartbeat(T + 2_000 * S)]))


def same_instant(number: int, ts: int = T) -> EventBlock:
    columns: dict[str, Any] = {name: np.zeros(number, DTYPES[name]) for name in INTEGER_COLUMNS}
    columns["type"][:] = codes.COUNT
    columns["a"][:] = 1
    columns["ts"][:] = ts
    for absent in ("seq", "x", "y", "z", "entry"):
        columns[absent][:] = -1
    return EventBlock(**columns)


def test_a_line_that_never_moves_on_is_bounded_and_moves_on() -> None:
    twin = PartitionTwin(plant(None), 0)
    first = [twin.fold(block([heartbeat(T), heartbeat(T + 1)])), twin.fold(same_instant(MAX_WAITING - 2))]
    assert [(one.events, one.tables) for one in first] == [(0, {})] * 2
    more = twin.fold(same_instant(10, T + S))
    assert dicts([more], "rejected")[0]["reason"] == "line_overfull"
    assert more.tables["rejected"].num_rows == 10
    last = twin.fold(block([count(60, 5), heartbeat(T + 200 * S)]))
    assert last.events == MAX_WAITING + 1
    assert [value for minute, value, _, _ in minutes([last], "good")][:2] == [MAX_WAITING - 2, 5]


def test_late_events_that_wait_for_a_tick_are_bounded() -> None:
    """A gateway may send hours of its buffer while the line's own time stands still."""
    twin = PartitionTwin(plant(900), 0)
    twin.fold(block([heartbeat(T), heartbeat(T + 10), heartbeat(T + 600 * S)]))
    late = twin.fold(same_instant(MAX_REVISING + 7, T + 10))
    assert late.revising == MAX_REVISING
    assert Counter(row["reason"] for row in dicts([late], "rejected")) == {"line_overfull": 7}
    done = twin.fold(block([heartbeat(T + 700 * S)]))
    assert [value for minute, value, revision, _ in minutes([done], "good") if revision][:1] == [MAX_REVISING]
    again = twin.fold(same_instant(3, T + 10))
    assert (again.revising, again.tables) == (3, {})


def test_jumps_that_nothing_confirms_are_bounded() -> None:
    model = plant(None, max_jump_ns=60 * S)
    twin = PartitionTwin(model, 0)
    # Each earlier than the one before it: none confirms another.
    jumps = [heartbeat(T + (MAX_HELD + 6 - k) * 1_000 * S) for k in range(1, MAX_HELD + 6)]
    results = [twin.fold(block([state(0, "run"), heartbeat(T + 1), *jumps]))]
    refused = dicts(results, "rejected")
    assert [(row["reason"], row["ts"]) for row in refused] == [
        ("jump_unconfirmed", T + (MAX_HELD + 6 - k) * 1_000 * S) for k in range(1, 6)
    ]
    assert len(decode(twin.snapshot()).held_values) == MAX_HELD


def test_texts_that_nothing_names_are_forgotten() -> None:
    model = plant(None)
    twin = PartitionTwin(model, 0)
    orders = [Ev(T + k * 60 * S, codes.ORDER, -1, codes.START, -1, x=f"order-{k}", y="p") for k in range(6_000)]
    whole = twin.fold(block(orders))
    parts = PartitionTwin(model, 0)
    cut = [parts.fold(block(orders[begin : begin + 500], begin)) for begin in range(0, len(orders), 500)]
    assert multisets(cut) == multisets([whole])
    assert len(parts.engine.texts.all) < 4_600
    assert parts.snapshot() == twin.snapshot()
    assert len(decode(twin.snapshot()).texts) < 10


def test_an_older_snapshot_is_refused_by_its_version() -> None:
    twin = PartitionTwin(plant(), 0)
    saved = decode(twin.snapshot())
    saved.version = 2
    with pytest.raises(SnapshotError, match=r"has format 2, this one \(.*\) reads 3 to 4"):
        decode(squeeze(saved))
    with pytest.raises(SnapshotError):
        unsqueeze(b"", msgspec.msgpack.Decoder(dict))


def test_the_reason_of_a_whole_stop_reaches_over_what_nobody_knows() -> None:
    """`unknown` does not end a stop, and is no part of it."""
    words = {**WORDS, "gone": codes.UNKNOWN}
    model = one_line(
        [replace(PRESS, states=words)],
        lateness_ns=5 * S,
        revise_ns=3600 * S,
        max_jump_ns=FOREVER * S // S,
        windows=(Window("1min", 60 * S, S),),
    )

    def said(t: int, word: str, seq: int) -> Ev:
        return Ev(T + t * S, codes.STATE, 0, words[word], x=word, seq=seq)

    log = [said(0, "run", 0), said(1, "run", 1), said(100, "halt", 2), said(220, "gone", 3), said(280, "halt", 4)]
    log += [said(700, "run", 5), said(710, "run", 6)]
    for named in ("2", "4"):
        fixed = correction(720, named, code=STOP, y="film")
        results = folded(model, *log, fixed, heartbeat(T + 900 * S), heartbeat(T + 901 * S))
        newest = {(row["start"], row["end"]): row for row in dicts(results, "states")}
        film = [row for row in newest.values() if row["reason"] == "film" and not row["retracted"]]
        assert sum(row["end"] - row["start"] for row in film) == (120 + 420) * S
        assert {row["class"] for row in film} == {"down"}
