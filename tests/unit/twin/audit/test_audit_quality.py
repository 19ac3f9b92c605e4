"""What an audit root says against its own figures."""

from pathlib import Path

from streams.tools.doctor import quality
from tests.support.audit import rows, table, write
from tests.support.sources import PLANT
from twin.audit import models
from twin.audit.quality import findings
from twin.plant import loads

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
    assert second.endswith(" offset 3: why; raise the line's `lateness` or `revise`, or send earlier")
    assert [check.level for check in quality(tmp_path / "a")] == ["warn", "warn"]


def test_nothing_to_say(tmp_path: Path) -> None:
    write(tmp_path / "a", {"states": table("states", rows("states", 1))})
    assert findings(tmp_path / "a") == []
    assert [check.level for check in quality(tmp_path / "a")] == ["ok"]
    assert not list(quality(tmp_path / "none"))


def test_the_newest_count_with_the_first_place_and_stations_never_heard_of(tmp_path: Path) -> None:
    plant = loads(PLANT)
    (alert, *_), (event, *_) = rows("alerts", 1), rows("events", 1)
    alert |= {"line": "L1", "station": "A", "kind": "data_quality", "action": "raised", "retracted": False}
    alert |= {"since": None, "detail": "late ones"}
    told = [alert | {"ts": ts * S, "value": n, "subject": "late"} for ts, n in ((5, 1.0), (3, 10.0))]
    told.append(alert | {"ts": 7 * S, "value": 2.5, "subject": "skew", "detail": "behind"})
    heard = [event | {"line": "L1", "station": "A"}]
    write(tmp_path / "a", {"alerts": table("alerts", told), "events": table("events", heard)})
    models.store(tmp_path / "a", plant)
    assert findings(tmp_path / "a") == [
        "L1/A: late ones (10 times or more, first at 1970-01-01T00:00:03Z)",
        "L1/A: behind (2.5 s, first at 1970-01-01T00:00:07Z)",
        "L1/B: never heard of, so it is unknown all the time; check how its source names it, or take it out of the "
        "plant file",
    ]
