"""Makes the tables of docs/performance.md from measured figures.

    python -m streams.bench.report [FILE ...]

The files are what `twin bench --json` (or a program that writes the same form) has written. They are merged, in their
order, into docs/performance.json, and the tables between two marks of docs/performance.md are written anew from it.
Without files the tables are made from what is there.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from streams.bench.figures import Figure, FiguresError, Report, encode, merge, read
from streams.bench.run import number
from streams.bench.targets import TARGETS

PAGE: Final = Path("docs") / "performance.md"
DATA: Final = Path("docs") / "performance.json"
BEGIN: Final = "<!-- figures: written by `python -m streams.bench.report` -->\n"
END: Final = "<!-- /figures -->"
# Of times and sizes less is better.
_LESS_IS_BETTER: Final = ("s", "MB", "us/event")


def with_figures(text: str, report: Report) -> str:
    """`text` with the tables of the report between the two marks. Raises FiguresError where a mark is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise FiguresError(f"{PAGE}: the marks {BEGIN.strip()} and {END} are missing: put them where the tables belong")
    return before + begin + "\n".join(lines(report)) + "\n" + end + after


def lines(report: Report) -> Iterator[str]:
    """The tables as Markdown."""
    repeats = sorted({len(figure.values) for figure in report.figures})
    spread = f"{repeats[0]} to {repeats[-1]}" if len(repeats) > 1 else f"{repeats[0]}"
    yield _machine(report)
    yield f"Medians of {spread} repeats; the {report.form} form."
    yield from _targets(report)
    yield from _beside(report)
    for group in dict.fromkeys(figure.group for figure in report.figures):
        yield from _table(group, [figure for figure in report.figures if figure.group == group])


def _machine(report: Report) -> str:
    told = [f"{name} {value}" for name, value in (report.machine | report.versions).items()]
    return f"Measured on: {', '.join(told)}."


def _targets(report: Report) -> Iterator[str]:
    figures = {figure.name: figure for figure in report.figures}
    rows = [(target, target.value(figures)) for target in TARGETS]
    if all(value is None for _, value in rows):
        return
    yield from ("", "### What was to be reached", "| what | at least | aim | measured | reached |")
    yield "| --- | --- | --- | --- | --- |"
    for target, value in rows:
        word = "at most " if target.most else ""
        limits = [f"{word}{number(limit)} {target.unit}" for limit in (target.least, target.aim)]
        shown = "not measured | " if value is None else f"{number(value)} {target.unit} | {target.reached(value)}"
        yield f"| {target.what} | {limits[0]} | {limits[1]} | {shown} |"


def _beside(report: Report) -> Iterator[str]:
    figures = {figure.name: figure for figure in report.figures}
    peers = [figure for figure in report.figures if figure.beside in figures]
    if not peers:
        return
    yield from (
        "",
        "### Beside others",
        "| other | what it does | other | ours | unit | ours is so many times better |",
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for peer in peers:
        own = figures[peer.beside]
        pair = (peer, own) if peer.unit in _LESS_IS_BETTER else (own, peer)
        times = number(pair[0].median / pair[1].median)
        medians = f"{number(peer.median)} | {number(own.median)}"
        yield f"| {peer.name} | {_cell(peer.counted)} | {medians} | {peer.unit} | {times} |"


def _table(group: str, figures: Sequence[Figure]) -> Iterator[str]:
    yield from (
        "",
        f"### {group[0].upper()}{group[1:]}",
        "| what | hot path, input | what is counted | median, least to most |",
    )
    yield "| --- | --- | --- | --- |"
    for figure in figures:
        about = "; ".join(part for part in (figure.hot_path, figure.input) if part)
        spread = f"{number(min(figure.values))} to {number(max(figure.values))}"
        yield (
            f"| {figure.name} | {_cell(about)} | {_cell(figure.counted)} | "
            f"**{number(figure.median)}** {figure.unit}, {spread} |"
        )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(argv: Sequence[str] | None = None, home: Path = Path()) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m streams.bench.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path)
    files = parser.parse_args(argv).files or [home / DATA]
    try:
        report = merge([read(file) for file in files])
        page = with_figures((home / PAGE).read_text(), report)
    except (FiguresError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    (home / DATA).write_bytes(encode(report))
    (home / PAGE).write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
