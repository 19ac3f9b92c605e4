"""/metrics: what is counted, how far behind, and that the text is one a Prometheus reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams import clock
from streams.worker.metrics import Delays, Metrics, Trail
from streams.worker.processor import Folded
from twin.events.block import Rejected


@dataclass(frozen=True)
class View:
    line: str
    newest_ns: int
    availability: float | None = 0.9
    performance: float | None = None
    quality: float | None = 1.0
    oee: float | None = None


def body(next_offset: int = 7, committed: int = 5, lag: int | None = 2) -> dict[str, Any]:
    partition = {
        "next": next_offset,
        "committed": committed,
        "lag": lag,
        "deleted_by_retention": 0,
        "snapshot_bytes": 4096,
    }
    return {"partitions": {"3": partition}, "commits": {"ok": 4}, "runs": {"due": 9}, "storage": None, "records": 11}


def samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def test_what_was_folded_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s)
    monkeypatch.setattr(clock, "now_ns", lambda: 10_000_000_000)
    views = [View("a", 8_500_000_000)]
    metrics = Metrics(["a", 'b"\n\\'], "model-1", lambda: (True, body()), lambda: views)
    alerts = pa.table({"kind": ["down", "down", "stale"], "action": ["raised", "cleared", "raised"]})
    refused = [
        Rejected("late", "", 1, b"", None),
        Rejected("late", "", 2, b"", None),
        Rejected("not_json", "", 3, b"", None),
    ]
    metrics.folded(Folded(5, 3, 1, 2, [("alerts", alerts)], refused, np.array([1, 2])), 0.02)
    metrics.folded(Folded(1, 0, 0, 0, [], []), 0.2)
    kind, text = await metrics.page()
    assert kind.startswith("text/plain; version=0.0.4")
    found = samples(text)
    assert found["twin_events_total", ("a",)] == 1
    assert found["twin_events_total", ('b"\n\\',)] == 2
    assert found["twin_refused_total", ("late",)] == 2
    assert found["twin_refused_total", ("not_json",)] == 1
    assert found["twin_alerts_total", ("raised", "down")] == found["twin_alerts_total", ("cleared", "down")] == 1
    assert found["twin_rows_total", ("alerts",)] == found["twin_rows_total", ("events",)] == 3
    assert found["twin_rows_total", ("rejected",)] == 3
    assert found["twin_commits_total", ("ok",)] == 4
    assert found["twin_lag_records", ("3",)] == 2
    assert found["twin_snapshot_bytes", ("3",)] == 4096
    assert found["twin_line_behind_seconds", ("a",)] == 1.5
    assert found["twin_line_quality_ratio", ("a",)] == 1.0
    assert ("twin_line_oee_ratio", ("a",)) not in found
    assert found["twin_fold_seconds_count", ()] == 2
    assert found["twin_fold_seconds_bucket", ("0.025",)] == 1
    assert found["twin_ready", ()] == 1
    assert "process_start_time_seconds" in text.decode()
    views.clear()
    assert (await metrics.page())[1] is text, "asked again at once: the same text"
    now_s += 1.0
    assert ("twin_line_behind_seconds", ("a",)) not in samples((await metrics.page())[1])


async def test_a_view_that_fails_takes_nothing_else_with_it() -> None:
    def views() -> list[Any]:
        raise RuntimeError("no view")

    metrics = Metrics(["a"], "m", lambda: (False, body(lag=None)), views)
    found = samples((await metrics.page())[1])
    assert found["twin_ready", ()] == 0
    assert ("twin_lag_records", ("3",)) not in found


def test_how_long_ago_a_position_was_passed() -> None:
    trail = Trail()
    assert trail.behind_s(0.0, 0) == 0.0
    for second, end in enumerate((10, 20, 20, 50)):
        trail.add(float(second), end)
    assert trail.behind_s(5.0, 5) == 5.0  # 10 was seen at 0
    assert trail.behind_s(5.0, 10) == 4.0
    assert trail.behind_s(5.0, 20) == 2.0
    assert trail.behind_s(5.0, 50) == 0.0
    trail.add(9.0, 5)  # the topic was made anew
    assert trail.behind_s(10.0, 0) == 1.0
    for second in range(5_000):
        trail.add(10.0 + second, 10 + second)
    assert len(trail._samples) <= 1_024
    assert trail.behind_s(5_010.0, 0) == 5_001.0
    assert 3_900.0 <= trail.behind_s(5_010.0, 1_010) <= 4_000.0  # of a long backlog: coarsely, and never too much


def test_delays_of_fold_and_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s)
    delays = Delays()
    assert delays.of(3, 7, 5) == (0.0, 0.0)
    delays.sample(body()["partitions"])
    now_s = 4.0
    assert delays.of(3, 7, 5) == (4.0, 4.0)
    delays.sample(body(9, 9, 0)["partitions"])
    assert delays.of(3, 9, 9) == (0.0, 0.0)
    delays.sample({})  # given to another worker
    assert delays.of(3, 7, 5) == (0.0, 0.0)
