"""Admission: what is a duplicate, too late, of an old epoch, a jump that nothing confirms."""

from typing import Any

import numpy as np
import pytest

from kernels import codes
from kernels.fold.admit import MAX_LEAP, SEQ_WINDOW, mark_seq
from kernels.fold.layout import ADMITTED, DUPLICATE, L_NEWEST, LATE, N_Q, Q_GAPS, STALE_EPOCH
from tests.support.fold import Ev, S, block, dicts, heartbeat, multisets, one_line
from twin.line import PartitionTwin, Results
from twin.plant.model import Station

T = 1_700_000_000 * S
JUMP = 100 * S
DAY = 86_400 * S
LATENESS = 5 * S
PLANT = one_line([Station("A"), Station("B")], lateness_ns=LATENESS, max_jump_ns=JUMP)


def beat(offset_ns: int, station: int = 0, **more: Any) -> Ev:
    return Ev(T + offset_ns, codes.HEARTBEAT, station, **more)


def folded(events: list[Ev]) -> tuple[PartitionTwin, Results]:
    twin = PartitionTwin(PLANT, 0)
    return twin, twin.fold(block(events))


def reasons(results: Results) -> list[tuple[str, int]]:
    return [(row["reason"], row["ts"] - T) for row in dicts([results], "rejected")]


@pytest.mark.parametrize(
    ("numbers", "verdicts"),
    [
        ([(0, 5), (0, 6), (0, 5)], [ADMITTED, ADMITTED, DUPLICATE]),
        ([(0, 5), (0, 8), (0, 6), (0, 6)], [ADMITTED, ADMITTED, ADMITTED, DUPLICATE]),
        # Before the first number seen: it came out of order, also far back and after a new epoch.
        ([(0, 5), (0, 4), (0, 4), (0, 5)], [ADMITTED, ADMITTED, DUPLICATE, DUPLICATE]),
        ([(0, 2), (0, 1), (0, 3), (1, 9), (1, 8), (1, 8)], [ADMITTED] * 5 + [DUPLICATE]),
        ([(0, 9_000), (0, 7_000), (0, 6_999), (0, 7_500), (0, 6_999)], [ADMITTED] * 3 + [LATE, LATE]),
        ([(0, 10**15), (0, 5), (0, 4)], [ADMITTED] * 3),
        ([(0, 0), (0, 1_024), (0, 1), (0, 0)], [ADMITTED, ADMITTED, ADMITTED, LATE]),
        ([(0, 0), (0, 1_025), (0, 1), (0, 2)], [ADMITTED, ADMITTED, LATE, ADMITTED]),
        ([(0, 0), (0, 10**15), (0, 10**15 - 1_023), (0, 10**15)], [ADMITTED, ADMITTED, ADMITTED, DUPLICATE]),
        ([(1, 7), (2, 0), (1, 8), (2, 0), (2, 1)], [ADMITTED, ADMITTED, STALE_EPOCH, DUPLICATE, ADMITTED]),
        # One broken number moves nothing, and its repeat is known; a second one near it is believed.
        ([(0, 5), (0, 10**15), (0, 6), (0, 10**15), (0, 6)], [ADMITTED, ADMITTED, ADMITTED, DUPLICATE, DUPLICATE]),
        ([(0, 5), (0, 10**15), (0, 10**12), (0, 6)], [ADMITTED, ADMITTED, ADMITTED, ADMITTED]),
        ([(0, 5), (0, 10**15), (0, 10**15 + 1), (0, 6)], [ADMITTED, ADMITTED, ADMITTED, LATE]),
        ([(0, 5), (0, 5 + MAX_LEAP), (0, 6)], [ADMITTED, ADMITTED, LATE]),
        ([(0, 5), (0, 6 + MAX_LEAP), (0, 6)], [ADMITTED, ADMITTED, ADMITTED]),
        ([(0, 5), (0, 2**63 - 2), (0, 6), (0, 2**63 - 2)], [ADMITTED, ADMITTED, ADMITTED, DUPLICATE]),
        # Nothing can follow the last number.
        ([(0, 5), (0, 2**63 - 1), (0, 6), (0, 2**63 - 1)], [ADMITTED, LATE, ADMITTED, LATE]),
    ],
)
def test_sequence_numbers(numbers: list[tuple[int, int]], verdicts: list[int]) -> None:
    row = np.zeros(N_Q, np.int64)
    assert [mark_seq(row, epoch, seq) for epoch, seq in numbers] == verdicts


@pytest.mark.parametrize("step", [2, 63, 64, 1_023, 1_024, 1_025, 1_026, 5_000])
def test_gaps_are_numbers_that_left_the_window_unseen(step: int) -> None:
    row = np.zeros(N_Q, np.int64)
    seen = list(range(1_000, 1_000 + 20 * step, step))
    for seq in seen:
        assert mark_seq(row, 0, seq) == ADMITTED
    lost = [n for n in range(1_000, seen[-1] - SEQ_WINDOW + 1) if (n - 1_000) % step]
    assert row[Q_GAPS] == len(lost)


@pytest.mark.parametrize("broken", [{"epoch": 2 * 10**18, "seq": 0}, {"epoch": 1, "seq": 10**15}])
def test_a_suspect_events_number_is_not_noted(broken: dict[str, int]) -> None:
    """The clock of a gateway that boots is often wrong together with all that is made from it."""
    good = [beat(k * S, epoch=1, seq=k) for k in range(6)]
    _, results = folded([*good[:3], beat(10**9 * S, **broken), *good[3:], beat(60 * S, epoch=1, seq=6)])
    assert reasons(results) == [("jump_unconfirmed", 10**9 * S)]
    assert results.events == 6


def test_a_repeat_of_a_suspect_event_is_found_when_it_is_confirmed() -> None:
    jump = beat(1_000 * S, seq=9)
    _, results = folded([beat(-S), beat(0), jump, jump, beat(1_001 * S, seq=10), beat(1_020 * S, seq=11)])
    assert (results.duplicates, results.events, reasons(results)) == (1, 4, [])


def test_a_repeat_is_counted_and_leaves_no_row() -> None:
    _, results = folded([beat(0, seq=1), beat(0, seq=1), beat(1, seq=2), beat(1, 1, seq=2)])
    assert (results.duplicates, results.late) == (1, 0)
    assert "rejected" not in results.tables


def test_without_numbers_nothing_is_a_repeat() -> None:
    _, results = folded([beat(0), beat(0), beat(LATENESS + 1)])
    assert (results.events, results.duplicates) == (2, 0)


@pytest.mark.parametrize(("back", "late"), [(LATENESS, False), (LATENESS + 1, True)])
def test_late_is_older_than_the_watermark(back: int, late: bool) -> None:
    _, results = folded([beat(0), beat(50 * S), beat(50 * S - back)])
    assert reasons(results) == ([("late", 50 * S - back)] if late else [])
    assert results.late == late


def test_an_event_of_an_old_epoch_is_rejected() -> None:
    _, results = folded([beat(0, epoch=1, seq=1), beat(1, epoch=2, seq=1), beat(2, epoch=1, seq=2)])
    assert reasons(results) == [("stale_epoch", 2)]


@pytest.mark.parametrize("ahead", [JUMP + 1, 10**6 * S])
def test_a_single_jump_ahead_is_rejected_and_moves_nothing(ahead: int) -> None:
    twin, results = folded([beat(-S), beat(0), beat(ahead), beat(S)])
    assert reasons(results) == [("jump_unconfirmed", ahead)]
    assert int(twin.engine.state.lines[0, L_NEWEST]) == T + S
    assert results.late == 0
    rejected = dicts([results], "rejected")[0]
    assert rejected["line"] == "L"
    assert str(T + ahead).encode() in rejected["value"] or rejected["value"].startswith(b"{")


def test_a_jump_of_exactly_the_limit_is_no_jump() -> None:
    twin, results = folded([beat(0), beat(JUMP)])
    assert reasons(results) == []
    assert int(twin.engine.state.lines[0, L_NEWEST]) == T + JUMP


def test_another_event_nearby_confirms_a_jump() -> None:
    twin, results = folded([beat(-S), beat(0), beat(1_000 * S), beat(1_001 * S, 1)])
    assert reasons(results) == []
    assert int(twin.engine.state.lines[0, L_NEWEST]) == T + 1_001 * S
    assert results.events == 2  # up to T; the others wait for their lateness


def test_the_same_instant_confirms_nothing() -> None:
    """A clock that stands still far ahead gives one time over and over."""
    twin, results = folded([beat(-S), beat(0), beat(1_000 * S), beat(1_000 * S, 1), beat(S)])
    assert reasons(results) == [("jump_unconfirmed", 1_000 * S)] * 2
    assert int(twin.engine.state.lines[0, L_NEWEST]) == T + S


def test_a_jump_far_beyond_the_confirmed_one_stays_out() -> None:
    twin, results = folded([beat(-S), beat(0), beat(10**6 * S), beat(1_000 * S), beat(1_001 * S)])
    assert reasons(results) == [("jump_unconfirmed", 10**6 * S)]
    assert int(twin.engine.state.lines[0, L_NEWEST]) == T + 1_001 * S


@pytest.mark.parametrize(
    ("events", "newest", "refused"),
    [
        ([beat(0)], None, []),
        ([beat(0), beat(0)], None, []),
        ([beat(0), beat(0, 1)], None, []),
        ([beat(0), beat(0, 1), beat(1)], 1, []),  # all stations of a line may begin at once
        ([beat(0), beat(JUMP)], JUMP, []),
        ([beat(0), beat(-LATENESS)], 0, []),
        ([beat(0), beat(JUMP + 1)], 0, []),  # it may send seldom; the second is a jump from the first
        ([beat(0), beat(DAY)], 0, []),
        ([beat(0), beat(3 * JUMP), beat(S)], S, [3 * JUMP]),
        ([beat(0), beat(3 * JUMP), beat(6 * JUMP), beat(6 * JUMP + 1)], 6 * JUMP + 1, []),
        ([beat(0), beat(DAY + 1)], None, []),
        ([beat(JUMP + 1), beat(0)], None, []),
        ([beat(3 * JUMP), beat(0), beat(S)], S, [3 * JUMP]),  # two hours ahead: the others are not late
        ([beat(10**9 * S), beat(0), beat(S)], S, [10**9 * S]),  # a clock that was not set yet, ahead
        ([beat(-(10**9) * S), beat(0), beat(S)], S, [-(10**9) * S]),  # or behind
        ([beat(10**9 * S), beat(10**9 * S), beat(0), beat(1)], 1, [10**9 * S] * 2),
    ],
)
def test_the_first_event_of_a_line_needs_another(events: list[Ev], newest: int | None, refused: list[int]) -> None:
    """Were it believed, one clock of the year 2099 would make all that follows late."""
    twin, results = folded(events)
    assert reasons(results) == [("jump_unconfirmed", ts) for ts in refused]
    assert int(twin.engine.state.lines[0, L_NEWEST]) == (0 if newest is None else T + newest)
    assert results.late == 0


@pytest.mark.parametrize("then", [beat(1_001 * S), beat(S)], ids=["confirmed", "refuted"])
def test_held_events_survive_a_snapshot(then: Ev) -> None:
    events = [beat(0), beat(1_000 * S, seq=7), then, heartbeat(T + 50 * S), heartbeat(T + 1_020 * S)]
    twin = PartitionTwin(PLANT, 0)
    results = [twin.fold(block(events[:2]))]
    assert "rejected" not in results[0].tables
    twin = PartitionTwin.restore(PLANT, 0, twin.snapshot())
    results.append(twin.fold(block(events[2:], 2)))
    whole, once = folded(events)
    assert multisets(results) == multisets([once])
    assert twin.snapshot() == whole.snapshot()


def test_any_later_event_confirms_a_jump() -> None:
    """Else a line that sends once in a longer time than `max_jump` would be refused for ever."""
    twin, results = folded([beat(-S), beat(0), beat(1_000 * S), beat(2_000 * S), beat(3_000 * S), beat(3_001 * S)])
    assert reasons(results) == []
    assert int(twin.engine.state.lines[0, L_NEWEST]) == T + 3_001 * S


def test_half_an_hour_is_believed_whatever_max_jump_allows() -> None:
    plant = one_line([Station("A")], lateness_ns=LATENESS, max_jump_ns=DAY)
    for ahead, refused in ((1_800 * S, []), (1_800 * S + 1, [("jump_unconfirmed", 1_800 * S + 1)])):
        results = PartitionTwin(plant, 0).fold(block([beat(-S), beat(0), beat(ahead), beat(S)]))
        told = [row for row in reasons(results) if row[0] == "jump_unconfirmed"]
        assert told == refused
        assert results.late == (0 if refused else 1)


def wrapping(events: list[Ev]) -> Results:
    plant = one_line([Station("A"), Station("B")], lateness_ns=LATENESS, max_jump_ns=JUMP, seq_modulus=4)
    return PartitionTwin(plant, 0).fold(block([*events, heartbeat(T + 90 * S)]))


def test_numbers_that_wrap_are_no_repeats() -> None:
    results = wrapping([beat(k * S, k % 2, seq=k % 4) for k in range(40)])
    assert (results.events, results.duplicates, results.late) == (40, 0, 0)


def test_a_repeat_among_numbers_that_wrap_has_its_number_and_time() -> None:
    events = [beat(k * S, seq=k % 4) for k in range(20)]
    again = [*events[:10], *events[7:10], *events[10:]]
    assert (wrapping(again).events, wrapping(again).duplicates) == (20, 3)


def test_a_message_of_several_events_has_one_number() -> None:
    """A Sparkplug message holds what its device has to say: state and counts, also counters."""
    head = {"epoch": 0, "seq": 3}
    told = [
        Ev(T + S, codes.STATE, 0, codes.RUNNING, x="w", **head),
        Ev(T + S, codes.COUNT, 0, codes.PARTS, 2, **head),
        Ev(T + S, codes.COUNT, 0, codes.PARTS, 0, 1, **head),
        Ev(T + S, codes.STATE, 1, codes.RUNNING, x="w", **head),
    ]
    results = wrapping([beat(0), *told, *told])
    assert (results.events, results.duplicates) == (5, 4)


def test_what_admission_knows_of_each_source() -> None:
    events = [beat(k * S, seq=2 * k) for k in range(1_200)]
    lagging = [beat((k - 3) * S, 1) for k in range(100, 200)]
    log = [*events[:100], *[one for pair in zip(events[100:200], lagging, strict=True) for one in pair], *events[200:]]
    log += [events[-1], beat(0), beat(0, 1)]
    twin = PartitionTwin(PLANT, 0)
    cut = PartitionTwin(PLANT, 0)
    for place in range(0, len(log), 77):
        cut.fold(block(log[place : place + 77], place))
        cut = PartitionTwin.restore(PLANT, 0, cut.snapshot())
    twin.fold(block(log))
    first, second = twin.facts()
    assert cut.facts() == [first, second]
    assert (first.line, first.station, first.repeats, first.repeat_at) == (0, 0, 1, len(log) - 3)
    assert (first.gaps, first.missing) == (1_199 - 512, 512)
    assert first.gap_at is not None
    assert first.lag_ns == 0
    assert (second.late, second.late_at) == (1, len(log) - 1)
    assert second.lag_ns == 3 * S  # its clock is three seconds behind
    assert second.events == 101


def test_lines_do_not_confirm_each_other() -> None:
    both = one_line(
        [Station("A")],
        more_lines=one_line([Station("C")], max_jump_ns=JUMP).lines,
        lateness_ns=LATENESS,
        max_jump_ns=JUMP,
    )
    events = [
        beat(-S),
        beat(0),
        beat(-S, 1, line=1),
        beat(0, 1, line=1),
        beat(1_000 * S),
        beat(1_001 * S, 1, line=1),
        beat(S),
    ]
    twin = PartitionTwin(both, 0)
    results = twin.fold(block(events))
    assert reasons(results) == [("jump_unconfirmed", 1_000 * S)]
    assert twin.engine.state.lines[:, L_NEWEST].tolist() == [T + S, T]
