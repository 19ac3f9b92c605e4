"""Edges of the fold that once were wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import codes
from kernels.fold.layout import L_DONE
from tests.random_logs import SIX, START, ended, logs, small_plant
from tests.support.fold import Ev, S, block, dicts, fold_once, heartbeat
from twin.events.block import EventBlock
from twin.line import PartitionTwin
from twin.line.view import LineView

CYCLES = ((0, codes.START), (0, codes.END), (1, codes.START), (1, codes.END))


def test_a_wait_reported_before_the_first_cycle_does_not_block_the_flow() -> None:
    """The count of finished parts began at -1, and no part ever moved again."""
    log = [Ev(START, codes.STATE, 0, codes.BLOCKED), Ev(START + S, codes.STATE, 0, codes.RUNNING)]
    log[1:1] = [Ev(START + S // 2, codes.CYCLE, s, code) for s, code in CYCLES[:1]]
    log += [Ev(START + (2 + k) * S, codes.CYCLE, s, code) for k, (s, code) in enumerate(CYCLES[1:])]
    twin, _ = fold_once(small_plant(True, False, False), ended(log))
    assert int(twin.engine.state.lines[0, L_DONE]) == 0
    assert twin.view()[0].contradictions == 0


def test_a_window_of_panes_over_a_silence() -> None:
    """It says less than its length; it once ended the process."""
    log = [Ev(START, codes.STATE, 0, codes.RUNNING), heartbeat(START + 50 * S)]
    _, results = fold_once(small_plant(True, False, False), ended(log))
    window = [r for r in dicts([results], "bottlenecks") if r["window"] == "panes" and r["station"] == "L0"]
    assert any(r["elapsed_ns"] < r["end"] - r["start"] for r in window)


def test_a_stop_without_length_is_no_stop() -> None:
    """The shift begins, and at that very instant the station is reported running."""
    shift = START + 20 * S
    assert SIX * S % (86_400 * S) == START % (86_400 * S)
    log = [Ev(START + S, codes.STATE, 0, codes.STOPPED), heartbeat(START + 15 * S)]
    log.append(Ev(shift, codes.STATE, 0, codes.RUNNING))
    _, results = fold_once(small_plant(False, True, False), ended(log))
    assert all(r["minor_stops"] == r["downs"] == 0 for r in dicts([results], "kpis"))


def test_many_events_at_one_instant_need_no_more_closings() -> None:
    log = [Ev(START, codes.ORDER, -1, codes.START, x=f"o{k}") for k in range(500)]
    twin, results = fold_once(small_plant(True, False, False), ended(log))
    assert twin.engine.state.closings.shape[1] == 8
    assert results.events == 500


def test_a_view_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle worker compiled at each view, several times a second: half a core for nothing."""
    twin = PartitionTwin(small_plant(True, False, False), 0)
    assert twin.view() == []
    folded: list[EventBlock] = []
    monkeypatch.setattr(PartitionTwin, "fold", lambda _, block: folded.append(block))
    assert twin.view() == []
    assert not folded
    twin.warm()
    assert folded


@given(logs(links=True, cycles=True, lines=3), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_only_changed_lines_are_shown_and_no_change_is_missed(events: list[Ev], cut: int) -> None:
    """What was shown last, replaced by what is shown as changed, is always the view of all lines."""
    twin = PartitionTwin(small_plant(True, False, False, lines=3), 0)
    shown: dict[str, LineView] = {}
    for begin in range(0, len(events), cut):
        twin.fold(block(events[begin : begin + cut], begin))
        shown |= {one.line: one for one in twin.view(changed=True)}
        assert [shown[one.line] for one in twin.view()] == twin.view()
        assert twin.view(changed=True) == []
