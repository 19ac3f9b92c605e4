"""Rules and dashboards name only what /metrics has; `make observe` runs them for real."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from streams.worker.metrics import Metrics
from streams.worker.processor import Folded
from twin.events.block import Rejected

FOLDER = Path(__file__).parents[4] / "deploy" / "observe"


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return list(group["rules"])


def queries() -> list[str]:
    boards = [json.loads(path.read_text()) for path in (FOLDER / "grafana" / "dashboards").iterdir()]
    return [t["expr"] for board in boards for panel in board["panels"] for t in panel.get("targets", ())]


@pytest.fixture
async def series() -> dict[str, set[str]]:
    """Name to labels, of a worker that has done a little of everything."""
    view = type("View", (), dict.fromkeys(("newest_ns", "availability", "performance", "quality", "oee"), 1))
    view.line = "a"  # type: ignore[attr-defined]  # made above
    partition = {"next": 1, "committed": 1, "lag": 0, "deleted_by_retention": 0, "snapshot_bytes": 1}
    body = {"partitions": {"0": partition}, "commits": {"ok": 1}, "runs": {"due": 1}, "storage": None}
    metrics = Metrics(["a"], "m", lambda: (True, body), lambda: [view])
    alerts = pa.table({"kind": ["down"], "action": ["raised"]})
    metrics.folded(Folded(1, 1, 0, 0, [("alerts", alerts)], [Rejected("late", "", 1, b"", None)], np.array([1])), 0.1)
    families = text_string_to_metric_families((await metrics.page())[1].decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


async def test_every_metric_that_is_asked_for_is_there(series: dict[str, set[str]]) -> None:
    for expr in [rule["expr"] for rule in rules()] + queries():
        names = set(re.findall(r"\b(?:twin|process)_[a-z_]+", expr))
        assert names <= series.keys() | {"up"}, f"{expr}: {sorted(names - series.keys())}"
        assert names or "up{" in expr
        known = set().union(*(series[name] for name in names)) | {"job", "instance", "le"}
        for labels in re.findall(r"by \(([^)]*)\)", expr) + re.findall(r"\{([^}]*)\}", expr):
            for label in re.findall(r"(\w+)(?=\s*(?:=|!=|,|$))", re.sub(r'"[^"]*"', "", labels)):
                assert label in known, f"{expr}: no label {label}"


def test_every_rule_says_what_to_do_and_fires_in_its_test() -> None:
    tests = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    fired = {
        one["alertname"]
        for test in tests
        for one in test["alert_rule_test"]
        if one["exp_alerts"] and one["exp_alerts"][0]["exp_annotations"]["summary"]
    }
    assert {rule["alert"] for rule in rules()} == fired
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "action"}


async def test_no_label_names_a_station(series: dict[str, set[str]]) -> None:
    assert not [name for name, labels in series.items() if "station" in labels]
