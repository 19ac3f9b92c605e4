"""What the seeds of the fault plans hold, and how the end of a worker's process is judged."""

import signal
from collections import Counter

import msgspec
import pytest

from streams import exits
from tests.faults.judge import Ended, unexplained
from tests.faults.plan import AT_STEP, LONG_S, OUTSIDE, STEPS, Fault, Plan, draw

PLANS = [draw(seed) for seed in range(200)]


def _kind(plan: Plan, fault: Fault) -> str:
    match fault.what:
        case "stop" if fault.for_s > plan.session_s:
            return "zombie"
        case "broker-stop" if fault.for_s >= LONG_S:
            return "broker-gone"
    return fault.what


def test_a_seed_gives_the_same_plan() -> None:
    assert [draw(seed) for seed in range(200)] == PLANS
    assert msgspec.json.decode(msgspec.json.encode(PLANS), type=list[Plan]) == PLANS


@pytest.mark.parametrize(("brokers", "plans", "least"), [(1, 160, 11), (3, 40, 3)])
def test_two_hundred_seeds_hold_every_kind_from_outside(brokers: int, plans: int, least: int) -> None:
    mine = [plan for plan in PLANS if plan.brokers == brokers]
    assert len(mine) == plans
    found = Counter(_kind(plan, fault) for plan in mine for fault in plan.faults if not fault.inside)
    assert set(found) == set(OUTSIDE[brokers])
    assert min(found.values()) >= least, found


@pytest.mark.parametrize(("brokers", "least"), [(1, 12), (3, 2)])
def test_two_hundred_seeds_hold_every_kind_from_inside(brokers: int, least: int) -> None:
    mine = [fault for plan in PLANS if plan.brokers == brokers for fault in plan.faults if fault.inside]
    found = Counter(fault.what for fault in mine if fault.step)
    assert set(found) == set(AT_STEP)
    assert min(found.values()) >= least, found
    assert {fault.what for fault in mine if fault.records} == {"kill", "term", "stop"}


def test_two_hundred_seeds_hold_every_step_and_setting() -> None:
    assert {fault.step for plan in PLANS for fault in plan.faults} - {""} == set(STEPS)
    for brokers in (1, 3):
        mine = [plan for plan in PLANS if plan.brokers == brokers]
        assert {plan.workers for plan in mine} == {2, 3}
        assert {plan.static for plan in mine} == {True, False}
        assert {plan.log for plan in mine} == {0, 1, 2, 3}


def test_no_plan_can_pass_undisturbed() -> None:
    assert all(any(not fault.inside for fault in plan.faults) for plan in PLANS)


TOLD_TO_STOP = frozenset({int(signal.SIGTERM)})


@pytest.mark.parametrize(
    ("end", "happened"),
    [
        (Ended(0, 0, TOLD_TO_STOP), ()),
        (Ended(0, -9, frozenset({int(signal.SIGKILL)})), ("kill",)),
        (Ended(0, -9, fired=frozenset({"cut"})), ("cut",)),
        (Ended(0, exits.INTERNAL), ("eio",)),
        (Ended(0, exits.HARD_STOP, TOLD_TO_STOP), ("broker-stop",)),
        (Ended(0, exits.NO_KAFKA), ("broker-kill",)),
        (Ended(0, exits.WATCHDOG), ("stop",)),
        (Ended(0, exits.STATE, outdated=True), ("upgrade",)),
        (Ended(0, exits.STATE), ("topic-anew",)),
        (Ended(0, exits.STORAGE), ("root-gone",)),
    ],
)
def test_ends_that_the_plan_explains(end: Ended, happened: tuple[str, ...]) -> None:
    assert unexplained([end], happened, static=False) == []


@pytest.mark.parametrize(
    ("end", "happened"),
    [
        (Ended(0, 0), ("kill",)),  # nobody asked it to stop
        (Ended(0, -9), ("kill",)),  # another one was killed
        (Ended(0, -11, TOLD_TO_STOP), ("kill", "flip", "broker-kill")),
        (Ended(0, exits.INTERNAL), ("kill", "broker-kill")),
        (Ended(0, exits.NO_KAFKA), ("kill",)),
        (Ended(0, exits.FENCED), ("stop",)),
        (Ended(0, exits.STATE), ("upgrade",)),
        (Ended(0, exits.STATE), ("flip", "broker-kill", "stop", "root-gone")),
    ],
)
def test_ends_that_nothing_explains(end: Ended, happened: tuple[str, ...]) -> None:
    assert unexplained([end], happened, static=False) == [end]
