"""`twin worker`: one worker process of the group."""

import argparse
from typing import TYPE_CHECKING, Any

from streams.cli.parser import add_bootstrap, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "worker",
        run,
        help="run a worker: events in, results to topics and Parquet, until SIGTERM",
        example="twin worker --plant plant.toml --audit /data/audit --bootstrap kafka:9092",
        more="Start as many as there are partitions at most; they share the lines among them. All see the same audit\n"
        "root and state folder. Every setting can be given as TAKTWIN_NAME (docs/operating.md).",
    )
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The settings that are arguments of `twin worker`, each under its own name in `Settings`."""
    parser.add_argument("--plant", metavar="FILE", help="plant file (default: TAKTWIN_PLANT, else plant.toml)")
    parser.add_argument("--audit", metavar="FOLDER", help="audit root (default: TAKTWIN_AUDIT, else audit)")
    add_bootstrap(parser)
    parser.add_argument("--health-port", type=int, metavar="N", help="port of /alive and /ready; 0: any; -1: none")


def given(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("plant", "audit", "bootstrap", "health_port")}


def run(args: argparse.Namespace) -> int:
    from streams.worker import allocators

    allocators.spare()
    from streams.settings import Settings
    from streams.worker.worker import run as run_worker

    settings = Settings.from_env(**given(args))
    return int(run_worker(settings) or 0)
