"""What `feed` and `replay` share: naming logs, and the progress bar."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twin.plant.model import Plant
    from twin.sources import Logs, Summary

    class Sized(Protocol):
        @property
        def size(self) -> int: ...

        @property
        def position(self) -> int: ...


def add_logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        help="CSV, workbook, Parquet, SHDR, JSON lines; packed, or a folder of them; also s3://BUCKET/KEY",
    )
    parser.add_argument(
        "--mapping",
        metavar="FILE",
        help="what the columns of the logs mean (default: the plant's own rules)",
    )
    parser.add_argument(
        "--max-problems",
        type=share,
        metavar="SHARE",
        help="end with 1 where more of the rows cannot be used, or of the events are refused: 0, 0.01 or 1%% (default: "
        "problems are reported, and no error)",
    )


def share(text: str) -> float:
    """A part of a whole: 0.01, or 1%."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a share such as 0.01 nor a percentage such as 1%")
    return value


def too_many(args: argparse.Namespace, summary: "Summary", refused: int = 0, events: int = 0) -> int:
    """The exit code: 1 where more than `--max-problems` went wrong."""
    from streams.cli import output

    if args.max_problems is None:
        return 0
    told = {"rows could not be used": (summary.unusable, summary.rows), "events were refused": (refused, events)}
    wrong = [f"{n:,} of {of:,} {what}" for what, (n, of) in told.items() if n > args.max_problems * of]
    if wrong:
        output.note(f"twin: {', '.join(wrong)}: more than --max-problems {args.max_problems:g}")
    return int(bool(wrong))


def open_all(args: argparse.Namespace, ends: bool = True) -> "tuple[Plant, Logs]":
    """The plant of `--plant` and the logs named, by `--mapping` or the plant file's own rules."""
    from twin import plant as plants
    from twin.sources import load_mapping, open_logs

    plant = plants.load(args.plant)
    return plant, open_logs(args.logs, plant, load_mapping(args.mapping, plant) if args.mapping else None, ends=ends)


@contextmanager
def progress(logs: "Sized") -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's stderr, by bytes read; gives the function to call with the events so far."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    total = logs.size
    columns = (
        TextColumn("{task.percentage:>3.0f} %"),
        BarColumn(),
        TextColumn("{task.fields[events]:,} events"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total, events=0)

        def update(events: int) -> None:
            bar.update(task, completed=logs.position, events=events)

        yield update
