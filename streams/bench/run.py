"""Runs benchmarks one after another and shows what they measured."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from streams.bench import machine
from streams.bench.declare import BenchError, Benchmark, Room
from streams.bench.figures import Figure, Report


def chosen(benchmarks: Sequence[Benchmark], names: Sequence[str], *, long: bool) -> list[Benchmark]:
    """Those named, by themselves or by their group; without names all that belong to the form. Raises BenchError."""
    if not names:
        return [one for one in benchmarks if one.repeats[long]]
    known = {one.name for one in benchmarks} | {one.group for one in benchmarks}
    if unknown := [name for name in names if name not in known]:
        raise BenchError(f"no benchmark or group is called {', '.join(unknown)}; `twin bench --list` names them")
    return [one for one in benchmarks if one.name in names or one.group in names]


def run(
    benchmarks: Sequence[Benchmark],
    *,
    long: bool,
    repeats: int | None,
    note: Callable[[str], None],
) -> tuple[Report, list[str]]:
    """The figures, and a line for each benchmark that failed: one that cannot run does not cost the others theirs."""
    figures: list[Figure] = []
    failed = []
    with Room() as room:
        for number, one in enumerate(benchmarks, 1):
            note(f"{number}/{len(benchmarks)} {one.name}")
            try:
                figures += measure(one, room, long=long, repeats=repeats)
            except Exception as error:
                failed.append(f"{one.name}: {type(error).__name__}: {error}")
                note(failed[-1])
    return Report(machine.machine(), machine.versions(), figures, "long" if long else "short"), failed


def measure(one: Benchmark, room: Room, *, long: bool, repeats: int | None) -> list[Figure]:
    """Set up once, repeat, and give one figure per count."""
    size = one.size[long]
    with one.prepare(room, size) as repeat:
        # One that was named although the form leaves it out is done once.
        values = [tuple(repeat()) for _ in range(repeats or one.repeats[long] or 1)]
    return [
        Figure(
            name=one.figure_name(count),
            group=one.group,
            counted=count.counted,
            unit=count.unit,
            values=[float(value[place]) for value in values],
            hot_path=one.hot_path,
            input=one.input.format(size=size),
        )
        for place, count in enumerate(one.counts)
    ]


def show(report: Report, console: Console) -> None:
    table = Table(title=", ".join(report.machine.values()), caption=", ".join(map(" ".join, report.versions.items())))
    table.add_column("what", no_wrap=True)
    table.add_column("counted")
    for name in ("median", "min", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for figure in report.figures:
        shown = (number(v) for v in (figure.median, min(figure.values), max(figure.values)))
        table.add_row(figure.name, figure.counted, *shown, figure.unit)
    console.print(table)


def number(value: float) -> str:
    """Three digits that count: 28,300,000; 4.16; 0.0523."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def listing(benchmarks: Sequence[Benchmark], *, long: bool) -> str:
    """What there is, in words."""
    lines = []
    for one in benchmarks:
        lines.append(f"{one.name} ({one.group}): {one.hot_path}")
        lines.append(f"    input: {one.input.format(size=one.size[long])}")
        lines += [f"    {one.figure_name(count)}, {count.unit}: {count.counted}" for count in one.counts]
        lines.append(f"    repeats: {one.repeats[0] or 'none'} (short), {one.repeats[1] or 'none'} (long)")
    return "\n".join(lines)
