"""What the soak and the restart make of their figures."""

from typing import Any

import pytest

from streams.settings import Settings
from tests.faults import cycles
from tests.faults.restart import with_parts
from tests.faults.soak import judged


def figures(**changed: Any) -> dict[str, Any]:
    samples = [
        {
            "s": 10.0 * k,
            "stays_mb": 400.0 + k % 3,
            "restarted_mb": 300.0 + k % 6,
            "life": k // 6,
            "snapshots": 84,
            "snapshots_mb": 42.0,
        }
        for k in range(1, 60)
    ]
    good = {
        "equal": True,
        "different": [],
        "asked_hz": 50_000,
        "fed_hz": 49_000,
        "drained_s": 4.0,
        "exits": [0, 0],
        "restarted": [0, -9, 0],
        "files": {"staged": 0, "snapshots": 84, "published": 1_000},
        "most_snapshots": 84,
        "most_published": 2_000,
        "warm_s": 300.0,
        "samples": samples,
    }
    return good | changed


def leaking(name: str, mb_per_s: float) -> list[dict[str, float]]:
    return [{**one, name: one[name] + mb_per_s * one["s"]} for one in figures()["samples"]]


def test_a_sound_soak() -> None:
    assert judged(figures()) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"equal": False, "different": ["kpis"]}, "another digest"),
        ({"fed_hz": 47_000}, "events/s were fed"),
        ({"drained_s": 31.0}, "not all was committed"),
        ({"exits": [0, 75]}, "the workers ended with"),
        ({"restarted": [0, -9, 72]}, "restarted with [-9, 0, 72]"),
        ({"samples": leaking("stays_mb", 0.5)}, "the worker that stays grew"),
        ({"samples": leaking("restarted_mb", 0.5)}, "over 5 lives"),
        ({"samples": leaking("snapshots_mb", 0.05)}, "snapshots grew"),
        ({"samples": []}, "only 0 samples"),
        ({"files": {"staged": 1, "snapshots": 84, "published": 1_000}}, "staging"),
        ({"files": {"staged": 0, "snapshots": 85, "published": 1_000}}, "85 snapshots"),
        ({"files": {"staged": 0, "snapshots": 84, "published": 2_001}}, "2001 audit files"),
    ],
)
def test_what_a_soak_fails_for(changed: dict[str, Any], told: str) -> None:
    (wrong,) = judged(figures(**changed))
    assert told in wrong


def test_half_an_hour_of_units_and_orders_leaves_nothing_behind() -> None:
    samples = cycles.compressed(1_200)
    assert len(samples) == cycles.SAMPLES
    assert cycles.grown([one["bytes"] for one in samples]) < cycles.MOST_GROWTH
    assert cycles.grown([1.0 * k for k in range(1, 25)]) > cycles.MOST_GROWTH


def test_the_session_is_not_ours() -> None:
    run = {"ready_to_join_s": 2.0, "first_new_result_s": 10.0}
    dynamic = Settings(session_timeout_s=10.0, heartbeat_interval_s=1.0)
    assert with_parts(run, dynamic)["ours_s"] == 3.0
    static = Settings(session_timeout_s=10.0, heartbeat_interval_s=1.0, instance="slot-0")
    assert with_parts(run, static)["ours_s"] == 10.0
    # One that is ready after the session has ended has waited for nobody.
    assert with_parts({**run, "ready_to_join_s": 9.5}, dynamic)["ours_s"] == 10.0
