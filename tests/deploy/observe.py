"""`make observe`: rules and dashboards against a real Prometheus that scrapes real workers under load.

Every alert rule fires in its test; every query of every panel is parsed and returns data; and when the load has ended,
the figure of every panel is that of the audit (SQL), of Kafka (offsets, lag), of `twin.lines`, or of the process. Needs
prometheus, promtool (Debian: prometheus) and Java.

    python -m tests.deploy.observe --seconds 300 --rate 2000
"""

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from streams.state.snapshot_files import SnapshotStore
from tests.support.streams import Worker, committed, read_all, settled, workers
from twin.audit.query import query
from twin.audit.read import open_set
from twin.results import SETS

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "observe"
PANELS_PYTHON: Final = ROOT / ".cache" / "observe-venv" / "bin" / "python"
LINES: Final = tuple(f"line-{k}" for k in range(6))
PLANT: Final = 'site = "observe"\n[[area]]\nid = "a"\n' + "".join(
    f'[[line]]\nid = "{line}"\narea = "a"\ntype = "flow"\nlateness = "0s"\n'
    f'[line.limits]\ndown = "1s"\n[[line.station]]\nid = "st"\nideal_cycle = "100ms"\n'
    for line in LINES
)
_SCRAPE_S: Final = 2
# Of counters the panels show rates, which are 0 when all is calm: what is compared is what they are rates of.
RATE: Final = re.compile(r"rate\(([a-z_]+(?:\{[^}]*\})?)\[[^]]*\]\)")
Figures = dict[tuple[str, ...], list[float]]
PROBE: Final = "import json, promql_parser, sys\nfor expr in json.load(sys.stdin): promql_parser.parse(expr)\n"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(*command: Any, **more: Any) -> str:
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **more)
    assert ran.returncode == 0, f"{' '.join(map(str, command))}:\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def check_files() -> list[tuple[str, str]]:
    """Rules, configuration, dashboards: sound, current, and each query one that parses. Gives (panel, query)."""
    run("promtool", "check", "config", FOLDER / "prometheus.yml")
    tested = run("promtool", "test", "rules", FOLDER / "rules_test.yml")
    alerts = [line.split()[-1] for line in (FOLDER / "rules.yml").read_text().splitlines() if "- alert:" in line]
    named = (FOLDER / "rules_test.yml").read_text()
    missing = [alert for alert in alerts if f"alertname: {alert}\n" not in named]
    assert not missing, f"no test of {missing}"
    say(f"{len(alerts)} alert rules fire in their tests: {' '.join(tested.split())}")
    with tempfile.TemporaryDirectory() as made:
        run(PANELS_PYTHON, FOLDER / "dashboards.py", made)
        queries = []
        for path in sorted(Path(made).iterdir()):
            current = (FOLDER / "grafana" / "dashboards" / path.name).read_text()
            assert current == path.read_text(), f"{path.name} is not what dashboards.py writes"
            queries += [
                (f"{path.stem}: {panel['title']}", target["expr"])
                for panel in json.loads(current)["panels"]
                for target in panel.get("targets", ())
            ]
    filled = [(title, expr.replace("$__rate_interval", "30s").replace("$line", ".*")) for title, expr in queries]
    run(PANELS_PYTHON, "-c", PROBE, input=json.dumps([expr for _, expr in filled]))
    say(f"{len(filled)} queries of panels parse")
    return filled


class Prometheus:
    """A real one on loopback. `ask` gives label values to number."""

    def __init__(self, folder: Path, targets: list[int]) -> None:
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        config = {
            "global": {"scrape_interval": f"{_SCRAPE_S}s", "evaluation_interval": "5s"},
            "rule_files": [str(FOLDER / "rules.yml")],
            "scrape_configs": [
                {"job_name": "taktwin", "static_configs": [{"targets": [f"127.0.0.1:{t}" for t in targets]}]}
            ],
        }
        (folder / "prometheus.json").write_text(json.dumps(config))  # JSON is YAML
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.json'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
        ]
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
            )

    def ask(self, query: str) -> Figures:
        """Label values, in the order of the labels' names, to number. Of `job` and `instance` nothing."""
        where = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(where, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        figures: Figures = {}
        for one in found:
            key = tuple(v for k, v in sorted(one["metric"].items()) if k not in ("__name__", "job", "instance"))
            # By worker, as far as a panel goes: two series of one key are those of two workers.
            figures.setdefault(key, []).append(float(one["value"][1]))
        return {key: sorted(values) for key, values in figures.items()}

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(20)


async def load(settings: Settings, seconds: int, rate: int) -> int:
    """Events of now, some in words that are refused, some twice, and a station that stops and goes on. Records sent."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=20, enable_idempotence=True)
    await producer.start()
    sent, step, seq = 0, 0, 0
    begun = time.monotonic()
    topic = settings.topic("events")
    try:
        while (elapsed := time.monotonic() - begun) < seconds:
            step += 1
            for k, line in enumerate(LINES):
                key = line.encode()
                for _ in range(max(rate // 20 // len(LINES), 1)):
                    seq += 1
                    event = {
                        "type": "count",
                        "ts": time.time_ns(),
                        "line": line,
                        "station": "st",
                        "good": 1,
                        "seq": seq,
                    }
                    await producer.send(topic, json.dumps(event).encode(), key=key)
                    sent += 1
                down = int(elapsed) % 20 >= 15 and k == 0
                word = "no such word" if step % 50 == 7 and k == 1 else "down" if down else "running"
                seq += 1
                state = {
                    "type": "state",
                    "ts": time.time_ns(),
                    "line": line,
                    "station": "st",
                    "state": word,
                    "seq": seq,
                }
                for _ in range(2 if step % 40 == 0 else 1):
                    await producer.send(topic, json.dumps(state).encode(), key=key)
                    sent += 1
            await asyncio.sleep(max(begun + step / 20 - time.monotonic(), 0))
        for line in LINES:
            beat = {"type": "heartbeat", "ts": time.time_ns() + 1_000_000_000, "line": line}
            await producer.send(topic, json.dumps(beat).encode(), key=line.encode())
            sent += 1
        await producer.flush()
    finally:
        await producer.stop()
    return sent


@contextlib.contextmanager
def everything() -> Iterator[tuple[Settings, Prometheus, list[Worker]]]:
    with (
        tempfile.TemporaryDirectory(prefix="taktwin-observe-") as name,
        LocalBroker() as broker,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        (folder / "plant.toml").write_text(PLANT)
        ports = [free_port(), free_port()]
        settings = Settings(
            bootstrap=broker.bootstrap,
            prefix="observe",
            plant=str(folder / "plant.toml"),
            audit=str(folder / "audit"),
            health_port=ports[0],
            checkpoint_interval_s=2.0,
        )
        asyncio.run(ensure(settings))
        started = stack.enter_context(workers())
        for number, port in enumerate(ports):
            own = replace(settings, health_port=port)
            started.append(Worker(own, folder / f"worker-{number}.log", real=True))
        for worker in started:
            worker.wait_ready(limit_s=600)
        prometheus = Prometheus(folder, ports)
        stack.callback(prometheus.end)
        yield settings, prometheus, started


def truths(settings: Settings, started: list[Worker]) -> dict[str, tuple[Figures, float]]:
    """What every panel must show when all is calm, from elsewhere; and how far it may be off."""

    def sql(text: str) -> Figures:
        rows = query(settings.audit, text).to_pylist()
        return {tuple(str(v) for v in list(row.values())[:-1]): [float(list(row.values())[-1])] for row in rows}

    def summed(text: str) -> Figures:
        return sql(text) or {(): [0.0]}

    counts = {(name,): float(open_set(settings.audit, name).count_rows()) for name in SETS}
    rows = {key: [count] for key, count in counts.items() if count}
    offsets = {str(p): offset for p, (offset, _) in asyncio.run(committed(settings)).items()}
    ends = {str(p): len(records) for p, records in asyncio.run(read_all(settings, "events")).items()}
    lag = {(p,): [float(end - offsets.get(p, 0))] for p, end in ends.items()}
    assert not any(values[0] for values in lag.values()), "not calm"
    none = {(p,): [0.0] for p in ends}
    newest = asyncio.run(read_all(settings, "lines"))
    views = {json.loads(r.value)["line"]: json.loads(r.value) for records in newest.values() for r in records}
    snapshots = SnapshotStore(settings.state_folder / settings.group_id)
    states = {p: next(snapshots.newest_first(int(p), offsets[p]))[1].state for p in ends if p in offsets}
    reports = [worker.report() for worker in started]
    commits: Counter[str] = Counter()
    for report in reports:
        commits.update(report["commits"])
    both = [0.0 for _ in started]

    def of_views(name: str) -> Figures:
        return {(line,): [float(view[name])] for line, view in views.items() if view[name] is not None}

    duplicates = sum(view["duplicates"] for view in views.values())
    late = summed("SELECT count(*) FROM rejected WHERE reason = 'late'")[()][0]
    now_s = time.time()
    memory = sorted(_resident_bytes(worker.process.pid) for worker in started)
    workers = {
        "Workers that are ready": {(): [float(sum(report["ready"] for report in reports))]},
        "Lines seen": {(): [float(len(views))]},
        "Records waiting": {(): [sum(values[0] for values in lag.values())]},
        "Longest wait": {(): [0.0]},
        "Oldest without a commit": {(): [0.0]},
        "Refused so far": summed("SELECT count(*) FROM rejected"),
        "Events folded": {(): _halves(started, "twin_events_total", summed("SELECT count(*) FROM events")[()][0])},
        "Rows for the audit": rows,
        "Time of a fold, 99 of 100 below": {(): [_quantile(started, "twin_fold_seconds", 0.99)]},
        "Records waiting, by partition": lag,
        "How long they wait": none,
        "Since the last commit": none,
        "Committed offset": {(p,): [float(offsets.get(p, 0))] for p in ends},
        "Size of the state": {(p,): [float(len(states[p]) if p in states else 0)] for p in ends},
        "Commits": {(outcome,): [float(n)] for outcome, n in commits.items()},
        "Refused, by reason": sql("SELECT reason, count(*) FROM rejected GROUP BY ALL"),
        "Repeats and late events": {(): [duplicates + late]},
        "Set aside, deleted, views that failed": {(): [0.0]},
        "Waiting for the disk": {(): both},
        "Starts in an hour": {(): [1.0 for _ in started]},
        "Memory": {(): memory},
    }
    lines = {
        "OEE (provisional)": of_views("oee"),
        "Availability": of_views("availability"),
        "Performance": of_views("performance"),
        "Quality": of_views("quality"),
        "Newest event is how old": {(line,): [now_s - view["newest_ns"] / 1e9] for line, view in views.items()},
        "Events": sql("SELECT line, count(*) FROM events GROUP BY ALL"),
        "Raised and cleared so far": sql("SELECT action, kind, count(*) FROM alerts_revisions GROUP BY ALL"),
    }
    off = {"Memory": 0.1 * memory[-1], "Newest event is how old": 2.0 * _SCRAPE_S + 3}
    return {
        f"{board}: {title}": (figures, off.get(title, 0.0))
        for board, panels in (("taktwin", workers), ("taktwin-lines", lines))
        for title, figures in panels.items()
    }


def _resident_bytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024.0 * int(re.findall(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[0])


def _scraped(worker: Worker, name: str) -> list[tuple[dict[str, str], float]]:
    """Our own reading of /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.settings.health_port}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]


def _halves(started: list[Worker], name: str, total: float) -> list[float]:
    """By worker, as each says; together the total of the audit."""
    each = sorted(sum(value for _, value in _scraped(worker, name)) for worker in started)
    assert sum(each) == total, (name, each, total)
    return each


def _quantile(started: list[Worker], name: str, q: float) -> float:
    """As Prometheus defines it: linear within the bucket."""
    counts: Counter[float] = Counter()
    for worker in started:
        counts.update({float(labels["le"]): value for labels, value in _scraped(worker, f"{name}_bucket")})
    edges = sorted(counts)
    wanted = q * counts[edges[-1]]
    k = next(i for i, edge in enumerate(edges) if counts[edge] >= wanted)
    if k == len(edges) - 1:
        return edges[-2]
    low, below = (edges[k - 1], counts[edges[k - 1]]) if k else (0.0, 0.0)
    return low + (edges[k] - low) * (wanted - below) / (counts[edges[k]] - below)


def hold_against(
    settings: Settings, prometheus: Prometheus, started: list[Worker], panels: list[tuple[str, str]]
) -> None:
    """What the panels show when all is calm, against `truths`."""
    truth = truths(settings, started)
    assert sorted(title for title, _ in panels) == sorted(truth), "every panel, and each once"
    for title, expr in panels:
        wanted, off = truth[title]
        shown = prometheus.ask(RATE.sub(r"\1", expr))
        if title == "taktwin: Rows for the audit":  # from 0 on: sets without a row are series, too
            shown = {key: values for key, values in shown.items() if values != [0.0]}
        assert shown.keys() == wanted.keys(), f"{title}: Prometheus {shown}, truth {wanted}"
        for key, values in shown.items():
            equal = len(values) == len(wanted[key]) and all(
                abs(a - b) <= max(off, 1e-9 * abs(b)) for a, b in zip(values, wanted[key], strict=True)
            )
            assert equal, f"{title} {key}: Prometheus {values}, truth {wanted[key]}"
        some = {"/".join(key): values[0] if len(values) == 1 else values for key, values in sorted(shown.items())[:3]}
        say(f"{title}: {len(shown)} of {len(wanted)} equal{f' within {off:.3g}' if off else ''}, {json.dumps(some)}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--rate", type=int, default=2_000)
    args = parser.parse_args()
    for tool in ("prometheus", "promtool"):
        assert shutil.which(tool), f"{tool} is missing; on Debian: apt-get install prometheus"
    panels = check_files()
    with everything() as (settings, prometheus, started):
        sent = asyncio.run(load(settings, args.seconds, args.rate))
        # While there is something in the last half minute: rates are of that.
        empty = [title for title, expr in panels if not prometheus.ask(expr)]
        assert not empty, f"no data: {empty}"
        say(f"{sent:,} records in {args.seconds} s; all {len(panels)} queries return data")
        asyncio.run(settled(settings))
        time.sleep(4 * _SCRAPE_S)
        hold_against(settings, prometheus, started, panels)
        rules = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        assert all(rule["health"] == "ok" for rule in rules), rules
        active = [rule["name"] for rule in rules if rule["state"] != "inactive"]
        say(f"{len(rules)} rules evaluated without an error; active: {active}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
