"""What an audit root says against its own figures."""

from pathlib import Path

from streams.doctor import quality
from tests.support_audit import rows, table, write
from twin.audit.quality import findings

S = 1_000_000_000


def test_alerts_and_refusals_are_told_with_count_place_and_advice(tmp_path: Path) -> None:
    (alert, *_), (refusal, *_) = rows("alerts", 1), rows("rejected", 1)
    alert |= {"line": "L", "station": "m", "kind": "data_quality", "action": "raised", "retracted": False}
    alerts = [alert | {"ts": ts * S, "since": 5 * S, "value": n, "detail": "a; b"} for ts, n in ((5, 1.0), (9, 10.0))]
    refused = [refusal | {"reason": "late", "line": "L", "detail": "why", "source_offset": k} for k in (7, 3)]
    write(tmp_path / "a", {"alerts": table("alerts", alerts), "rejected": table("rejected", refused)})
    first, second = findings(tmp_path / "a")
    assert first == "L/m: a; b (10 times or more, first at 1970-01-01T00:00:05Z)"
    assert second.startswith("L: 2 refused as late, first at ")
    assert second.endswith(" offset 3: why")
    assert [check.level for check in quality(tmp_path / "a")] == ["warn", "warn"]


def test_nothing_to_say(tmp_path: Path) -> None:
    write(tmp_path / "a", {"states": table("states", rows("states", 1))})
    assert findings(tmp_path / "a") == []
    assert [check.level for check in quality(tmp_path / "a")] == ["ok"]
    assert not list(quality(tmp_path / "none"))
