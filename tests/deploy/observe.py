"""`make observe`: rules and dashboards against a real Prometheus that scrapes real workers under load.

Every alert rule fires in its test; every query of every panel is parsed and returns data; and when the load has ended,
the figures of the panels are those of the audit (SQL), of Kafka (offsets, lag) and of `twin.lines`. Needs prometheus,
promtool (Debian: prometheus) and Java.

    python -m tests.deploy.observe --seconds 300 --rate 2000
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import duckdb
from aiokafka import AIOKafkaProducer

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings
from tests.support.streams import Worker, committed, read_all, settled, workers

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

    def ask(self, query: str) -> dict[tuple[str, ...], float]:
        where = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(where, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return {
            tuple(v for k, v in sorted(one["metric"].items()) if k not in ("__name__", "job", "instance")): float(
                one["value"][1]
            )
            for one in found
        }

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
def everything(seconds: int) -> Iterator[tuple[Settings, Prometheus]]:
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
        yield settings, prometheus


def hold_against(settings: Settings, prometheus: Prometheus, panels: list[tuple[str, str]]) -> None:
    """What the panels show when all is calm, against the audit, Kafka and the views."""
    expr = dict(panels)

    def sql(text: str, *keys: int) -> dict[tuple[str, ...], float]:
        found = duckdb.sql(text.replace("AUDIT", settings.audit)).fetchall()
        return {tuple(str(v) for v in row[:-1]): float(row[-1]) for row in found}

    files = "read_parquet('AUDIT/{}/**/*.parquet', union_by_name=true)"
    sets = [path.name for path in sorted(Path(settings.audit).iterdir()) if path.name[0] not in "._"]
    offsets = {str(p): offset for p, (offset, _) in asyncio.run(committed(settings)).items()}
    ends = {str(p): len(records) for p, records in asyncio.run(read_all(settings, "events")).items()}
    newest = asyncio.run(read_all(settings, "lines"))
    views = {json.loads(r.value)["line"]: json.loads(r.value) for records in newest.values() for r in records}
    good: Callable[[str], dict[tuple[str, ...], float]] = prometheus.ask
    compared = {
        "events by line": (
            good("sum by (line) (twin_events_total)"),
            sql(f"SELECT line, count(*) FROM {files.format('events')} GROUP BY ALL"),
        ),
        "refused by reason": (
            good(expr["taktwin: Refused, by reason"]),
            sql(f"SELECT reason, count(*) FROM {files.format('rejected')} WHERE reason IS NOT NULL GROUP BY ALL"),
        ),
        "alerts": (
            good(expr["taktwin-lines: Raised and cleared so far"]),
            sql(f"SELECT action, kind, count(*) FROM {files.format('alerts')} GROUP BY ALL"),
        ),
        "rows by set": (
            {key: n for key, n in good("sum by (set) (twin_rows_total)").items() if n},
            {(name,): n for name in sets for n in sql(f"SELECT count(*) FROM {files.format(name)}").values() if n},
        ),
        "committed offset": (good(expr["taktwin: Committed offset"]), {(p,): float(offsets.get(p, 0)) for p in ends}),
        "lag": (
            {key: n for key, n in good("sum by (partition) (twin_lag_records)").items() if key[0] in offsets},
            {(p,): float(ends[p] - n) for p, n in offsets.items()},
        ),
        "workers that are ready": (good(expr["taktwin: Workers that are ready"]), {(): 2.0}),
        "OEE": (
            good(expr["taktwin-lines: OEE (provisional)"]),
            {(line,): view["oee"] for line, view in views.items() if view["oee"] is not None},
        ),
        "quality": (
            good(expr["taktwin-lines: Quality"]),
            {(line,): view["quality"] for line, view in views.items() if view["quality"] is not None},
        ),
        "repeats": (
            good("sum(twin_duplicates_total)"),
            {(): float(sum(view["duplicates"] for view in views.values()))},
        ),
    }
    for what, (shown, truth) in compared.items():
        assert shown == truth, f"{what}: Prometheus {shown}, truth {truth}"
        say(f"{what}: {len(shown)} values equal, {json.dumps({'/'.join(k): v for k, v in sorted(shown.items())[:3]})}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--rate", type=int, default=2_000)
    args = parser.parse_args()
    for tool in ("prometheus", "promtool"):
        assert shutil.which(tool), f"{tool} is missing; on Debian: apt-get install prometheus"
    panels = check_files()
    with everything(args.seconds) as (settings, prometheus):
        sent = asyncio.run(load(settings, args.seconds, args.rate))
        # While there is something in the last half minute: rates are of that.
        empty = [title for title, expr in panels if not prometheus.ask(expr)]
        assert not empty, f"no data: {empty}"
        say(f"{sent:,} records in {args.seconds} s; all {len(panels)} queries return data")
        asyncio.run(settled(settings))
        time.sleep(4 * _SCRAPE_S)
        hold_against(settings, prometheus, panels)
        rules = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        assert all(rule["health"] == "ok" for rule in rules), rules
        active = [rule["name"] for rule in rules if rule["state"] != "inactive"]
        say(f"{len(rules)} rules evaluated without an error; active: {active}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
