"""`make services`: the consumers and producers of examples/, in four languages, against a real Kafka and real workers.

Producers: what each sends as JSON and as Arrow is audited event by event, and nothing is refused. Consumers: they read
while the demo's logs are folded and one of two workers is killed; after removing repeats all four give the same
sequence, it holds exactly the rows of the audit, and each line's of a set in the order of its events. Needs Java 17,
Maven, Node 20 and Go, and the registries the first time.

    python -m tests.deploy.services [producers|consumers] [LANGUAGE ...]
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Settings, process_environment
from streams.worker.publish import TOPIC_OF, json_rows
from tests.support.streams import Worker, settled, workers
from twin.audit.query import query
from twin.audit.read import open_set
from twin.results import SETS

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
BUILT: Final = ROOT / ".cache" / "services"
LANGUAGES: Final = ("python", "node", "go", "java")
FORMS: Final = ("json", "arrow")
COUNT: Final = 1_000
IDLE_S: Final = 25
_LIMIT_S: Final = 600
# What keeps its sequence (docs/client.md): the rows of a set and line, the alerts of a kind, station and subject.
About = tuple[str | None, ...]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(command: Sequence[Any], folder: Path) -> str:
    ran = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False, timeout=_LIMIT_S
    )
    assert ran.returncode == 0, (
        f"{folder.name}: {' '.join(map(str, command))}:\n{ran.stdout[-2000:]}{ran.stderr[-3000:]}"
    )
    return ran.stdout


def built(kind: str, language: str) -> list[str]:
    """The command that starts it, built in a copy, so that the checkout stays clean."""
    source, folder = EXAMPLES / kind / language, BUILT / kind / language
    shutil.copytree(source, folder, dirs_exist_ok=True)
    name = kind.removesuffix("s")
    if language == "python":
        return [sys.executable, str(folder / f"{name}.py")]
    if language == "node":
        run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"], folder)
        return ["node", str(folder / f"{name}.mjs")]
    if language == "go":
        run(["go", "build", "-o", folder / name, "."], folder)
        return [str(folder / name)]
    run(["mvn", "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=cp"], folder)
    path = f"{folder / 'target' / 'classes'}:{(folder / 'cp').read_text().strip()}"
    return ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", path, name.capitalize()]


def plant_of(lines: Iterable[str]) -> str:
    return 'site = "services"\n[[area]]\nid = "a"\n' + "".join(
        f'[[line]]\nid = "{line}"\narea = "a"\ntype = "flow"\n[[line.station]]\nid = "st"\n' for line in lines
    )


def settings_of(broker: LocalBroker, folder: Path, prefix: str, plant: Path) -> Settings:
    return Settings(
        bootstrap=broker.bootstrap,
        prefix=prefix,
        plant=str(plant),
        audit=str(folder / prefix / "audit"),
        partitions=5,
        checkpoint_interval_s=2.0,
        session_timeout_s=6.0,
        health_port=free_port(),
    )


def check_producers(broker: LocalBroker, folder: Path, languages: Sequence[str]) -> None:
    lines = [f"{language}-{form}" for language in languages for form in FORMS]
    (folder / "plant.toml").write_text(plant_of(lines))
    settings = settings_of(broker, folder, "produced", folder / "plant.toml")
    asyncio.run(ensure(settings))
    with workers() as started:
        started.append(Worker(settings, folder / "producers.log", real=True))
        started[0].wait_ready(5, limit_s=_LIMIT_S)
        for language in languages:
            command = built("producers", language)
            for form in FORMS:
                begun = time.monotonic()
                line = f"{language}-{form}"
                run([*command, settings.bootstrap, settings.topic("events"), line, form, COUNT], folder)
                say(f"producer {line}: {COUNT} events in {time.monotonic() - begun:.1f} s with its start")
        asyncio.run(settled(settings))
        assert started[0].end() == 0, started[0].log()
    events = open_set(Path(settings.audit), "events").to_table()
    refused = open_set(Path(settings.audit), "rejected").to_table()
    assert not refused.num_rows, refused.slice(0, 5).to_pylist()
    begin_ns = 1_772_431_200_000_000_000
    wanted = [(k, begin_ns + k * 1_000_000_000, "count", "st", k % 5) for k in range(COUNT)]
    for line in lines:
        mine = events.filter(pc.equal(events["line"].cast("string"), line)).sort_by("seq")
        found = list(
            zip(
                mine["seq"].to_pylist(),
                mine["ts"].cast("int64").to_pylist(),
                mine["type"].to_pylist(),
                mine["station"].to_pylist(),
                mine["good"].to_pylist(),
                strict=True,
            )
        )
        assert found == wanted, f"{line}: {len(found)} events, first {found[:2]}"
        assert len(set(mine["source_partition"].to_pylist())) == 1, f"{line} lies in several partitions"
    say(f"{len(lines)} producers: {COUNT} events of each are audited as sent, none refused, a line in one partition")


def check_consumers(broker: LocalBroker, folder: Path, languages: Sequence[str]) -> None:
    settings = settings_of(broker, folder, "consumed", EXAMPLES / "demo" / "plant.toml")
    asyncio.run(ensure(settings))
    commands = {language: built("consumers", language) for language in languages}
    outputs = {language: folder / f"{language}.txt" for language in languages}
    readers = {}
    with workers() as started:
        for number in range(2):
            own = replace(settings, health_port=free_port())
            started.append(Worker(own, folder / f"consumed-{number}.log", real=True))
        for worker in started:
            worker.wait_ready(limit_s=_LIMIT_S)
        for language, command in commands.items():
            with outputs[language].open("wb") as out:
                readers[language] = subprocess.Popen(
                    [*command, settings.bootstrap, settings.prefix, str(IDLE_S)], stdout=out, stderr=sys.stderr
                )
        logs = [
            EXAMPLES / name
            for name in ("five-stations/events.csv.gz", "tablet-press/3.csv.gz", "tablet-press/5.csv.gz")
        ]
        feeding = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streams.cli",
                "feed",
                "--plant",
                settings.plant,
                "--speed",
                "20000",
                *map(str, logs),
            ],
            cwd=ROOT,
            env=process_environment(settings),
            stdout=subprocess.DEVNULL,
        )
        time.sleep(12)  # in the midst of it
        started[0].process.kill()
        started[0].process.wait()
        say("one of two workers is killed while the logs are fed and the consumers read")
        assert feeding.wait(_LIMIT_S) == 0
        asyncio.run(settled(settings, 120))
        for language, reader in readers.items():
            assert reader.wait(_LIMIT_S) == 0, f"the consumer in {language} failed"
        assert started[1].end() == 0, started[1].log()
    sequences = {language: _by_line(outputs[language]) for language in languages}
    audited = _audited(Path(settings.audit))
    first = next(iter(sequences.values()))
    for language, sequence in sequences.items():
        told = [row for rows in sequence.values() for row in rows]
        found = {(row[0], row[1], row[-1]) for row in told}
        assert len(found) == len(told), f"{language}: {len(told) - len(found)} repeats"
        assert found == audited.keys(), f"{language}: {len(found)} records, {len(audited)} rows in the audit"
        kept: dict[About, list[int]] = {}
        for row in told:
            about, offset = audited[row[0], row[1], row[-1]]
            kept.setdefault(about, []).append(offset)
        for about, offsets in kept.items():
            assert offsets == sorted(offsets), f"{language}: rows of {about} in another order than the events"
        assert sequence == first, f"{language} gives another order than {next(iter(sequences))}"
        views = sum(line.startswith("lines\t") for line in outputs[language].read_text().splitlines())
        say(f"consumer in {language}: {len(told)} rows as in the audit, in its order; {views} views of lines")
        assert views


def _audited(root: Path) -> dict[tuple[str, str, str], tuple[About, int]]:
    """Set, line and id of every row that `twin audit query` has: what its sequence is, and the offset of the event it
    was made at."""
    found: dict[tuple[str, str, str], tuple[About, int]] = {}
    for name in TOPIC_OF:
        rows = query(root, f"SELECT * EXCLUDE (date) FROM {name if name == 'measures' else f'{name}_revisions'}")
        rows = rows.select(SETS[name].names).cast(SETS[name])
        for line, value in json_rows(name, rows):
            row = json.loads(value)
            about = (name, line, *(row[column] for column in ("kind", "station", "subject") if name == "alerts"))
            found[name, line, row["id"]] = about, row["source_offset"]
    return found


def _by_line(path: Path) -> dict[str, list[list[str]]]:
    """Records of each topic and line, in order: lines of one topic may lie in different partitions."""
    found: dict[str, list[list[str]]] = {}
    for text in path.read_text().splitlines():
        fields = text.split("\t")
        if fields[0] != "lines":
            found.setdefault(f"{TOPIC_OF[fields[0]]} {fields[1]}", []).append(fields)
    return found


def main() -> int:
    languages = tuple(name for name in LANGUAGES if name in sys.argv[1:]) or LANGUAGES
    with tempfile.TemporaryDirectory(prefix="taktwin-services-") as name, LocalBroker() as broker:
        if "consumers" not in sys.argv:
            check_producers(broker, Path(name), languages)
        if "producers" not in sys.argv:
            check_consumers(broker, Path(name), languages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
