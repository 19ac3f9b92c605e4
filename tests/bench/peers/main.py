"""The peers: what else could do this work, on the same input, in the same run, with the same answer checked.

Usage: python -m tests.bench.peers.main [NAME ...] [--list] [--events N] [--repeats N] [--json FILE]
A NAME is a peer, a group, or how their names begin; the file has the form of `twin bench --json` (see
streams/bench/figures.py). Every round runs each peer once, so that what else the machine does meets all alike. Exit
code 1: a peer did not run, or its answer differs.
"""

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streams.bench.figures import Figure, Report, encode
from streams.bench.machine import machine, versions
from streams.local.java import KAFKA, find_java
from tests.bench.peers import on_kafka, on_kpis, on_parquet, on_states
from tests.bench.peers.peer import PYTHON, DisagreementError, Group, Peer, PeerError, note

GROUPS = (on_kafka.GROUP, on_parquet.GROUP, on_kpis.GROUP, on_states.GROUP)
PACKAGES = (
    "active-period-method",
    "aiokafka",
    "confluent-kafka",
    "duckdb",
    "faust-streaming",
    "msgspec",
    "orjson",
    "polars",
    "quixstreams",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="the names, and what each counts")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    chosen = [(group, peers) for group in GROUPS if (peers := wanted(group, asked.names))]
    if not chosen:
        parser.error(f"no peer or group begins with {' or '.join(asked.names)}: --list shows the names")
    if asked.list:
        for _, peers in chosen:
            for peer in peers:
                print(f"{peer.name:30} {peer.counted}")  # noqa: T201  for people
        return 0
    figures, failed = run(chosen, asked.events, asked.repeats)
    show(figures, failed)
    if asked.json and figures:
        asked.json.write_bytes(encode(Report(machine(), all_versions(), figures)))
    return 1 if failed else 0


def wanted(group: Group, names: list[str]) -> list[Peer]:
    if not names or any(group.name.startswith(name) for name in names):
        return list(group.peers)
    return [peer for peer in group.peers if any(peer.name.startswith(name) for name in names)]


def run(chosen: list[tuple[Group, list[Peer]]], events: int, repeats: int) -> tuple[list[Figure], dict[str, str]]:
    """Figures of the peers that ran, and the reasons of those that did not or answered wrongly."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    failed: dict[str, str] = {}
    figures = []
    for group, peers in chosen:
        note(f"{group.name}: making {group.input}")
        with group.stage(events) as stage:
            for number in range(1, repeats + 1):
                for peer in peers:
                    if peer.name in failed:
                        continue
                    try:
                        values[peer.name].append(peer.once(stage))
                        note(f"{peer.name} {number}/{repeats}: {values[peer.name][-1]:,.0f} {peer.unit}")
                    except (PeerError, DisagreementError) as error:
                        failed[peer.name] = str(error)
                        note(f"{peer.name}: {error}")
        figures += [
            Figure(p.name, group.name, p.counted, p.unit, values[p.name], input=group.input, beside=p.beside)
            for p in peers
            if p.name not in failed
        ]
    return figures, failed


def all_versions() -> dict[str, str]:
    """The product's, and those of the peers in their own environment."""
    found = versions() | {"Kafka": KAFKA, "Kafka Streams": KAFKA, "Java": str(find_java()[1])}
    if PYTHON.exists():
        ask = f"from importlib.metadata import version\nfor n in {PACKAGES}: print(n, version(n))"
        told = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True, check=True)  # noqa: S603  our own
        found |= dict(line.split() for line in told.stdout.splitlines())
    return found


def show(figures: list[Figure], failed: dict[str, str]) -> None:
    table = Table()
    for name in ("what", "counted", "median", "min", "max", "unit", "ours is x times"):
        table.add_column(name, justify="left" if name in ("what", "counted", "unit") else "right")
    medians = {figure.name: figure.median for figure in figures}
    for f in figures:
        times = f"{medians[f.beside] / f.median:,.2f}" if f.beside in medians else ""
        numbers = (f"{v:,.0f}" for v in (statistics.median(f.values), min(f.values), max(f.values)))
        table.add_row(f.name, f.counted, *numbers, f.unit, times)
    console = Console(width=150)
    console.print(table)
    for name, reason in failed.items():
        console.print(f"{name} is missing: {reason}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
