"""`twin broker`: a local Kafka in the foreground."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "broker",
        run,
        help="start a local Kafka in the foreground; Ctrl-C stops it",
        example="twin broker --port 9092",
        more="One node on 127.0.0.1, to try things out and for tests; not for production. It is downloaded once into\n"
        "the user's cache. Java and Maven are used where they are installed, else the packages of taktwin[java].",
    )
    parser.add_argument("--port", type=int, default=9092, metavar="N", help="port to listen on (default: 9092)")
    parser.add_argument("--data", metavar="FOLDER", help="where it keeps its data (default: in the user's cache)")


def run(args: argparse.Namespace) -> int:
    import time
    from pathlib import Path

    from streams.cli.errors import CommandError
    from streams.cli.output import note
    from streams.interrupt import interrupts
    from streams.local.broker import LocalBroker
    from streams.settings import cache_folder

    data = Path(args.data) if args.data else cache_folder() / f"broker-{args.port}"
    with interrupts():
        note(f"starting Kafka on 127.0.0.1:{args.port}, data in {data}")
        with LocalBroker(data, port=args.port) as broker:
            note(f"Kafka is ready on {broker.bootstrap}; Ctrl-C stops it")
            while broker.running:
                time.sleep(0.2)
            raise CommandError(f"Kafka ended by itself; its log is {broker.log_file}")
