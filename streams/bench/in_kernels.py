"""The kernels by themselves: only the compiled calls are timed, on arrays laid out as the product lays them out."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import END, N_COLUMNS
from kernels.figures.bottleneck import causal, hindsight
from kernels.figures.oee import policy_matrix, ratios
from kernels.figures.stats import batch_means
from kernels.fold import bits
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.flow import begin_cycles, complete, start
from kernels.fold.fold import fold, pass_time
from kernels.fold.moves import unblock
from kernels.jit import bare
from streams import clock
from streams.bench import inputs
from streams.bench.declare import EVENTS_PER_S, Benchmark, Count, Repeat, Room, given
from twin.events.block import EventBlock
from twin.line.admission import Admission
from twin.line.engine import Engine
from twin.line.events import Preparation, Waiting
from twin.line.numbers import model, numbers
from twin.line.shape import empty_state
from twin.line.texts import Texts
from twin.plant.model import Plant

I64 = npt.NDArray[np.int64]

BLOCK: Final = 65_536  # events of a block, as a replay reads them
_OUT_ROWS: Final = 65_536  # more than any instant of these inputs needs
_WIDTHS: Final = (at.N_KO, at.N_IO, at.N_PO, at.N_AO, at.N_PA, at.N_MO)


def rows_of(plant: Plant, blocks: Sequence[EventBlock]) -> list[I64]:
    """Each block's events as rows in the order of folding, by the product's own preparation."""
    preparation = Preparation(plant, Texts())
    found = []
    arrival = 0
    for block in blocks:
        rows = preparation.rows(block, arrival)
        arrival += len(block)
        waiting = Waiting()
        waiting.add(rows, np.arange(len(rows)))
        found.append(waiting.take_due(np.full(len(plant.lines), int(block.ts.max()) + 1)))
    return found


class Folding:
    """The fold's arrays, and the loop that `twin.line.engine` runs around its two kernels."""

    def __init__(self, plant: Plant, blocks: Sequence[I64]) -> None:
        self._plant = plant
        self._numbers = numbers(plant)
        self._blocks = blocks
        self._model = model(self._numbers, int(blocks[0][:, at.E_TS].min()), int(blocks[-1][:, at.E_TS].max()))
        self._lines = np.arange(len(plant.lines))
        self.state = empty_state(plant, self._numbers)

    def once(self) -> float:
        """Events a second of the kernel calls."""
        self.state = empty_state(self._plant, self._numbers)
        out = _out(len(self._plant.stations))
        begun = clock.monotonic_s()
        for rows in self._blocks:
            until = np.full(len(self._lines), rows[:, at.E_TS].max())
            _drive(self._model, self.state, out, rows, self._lines, until)
        return sum(map(len, self._blocks)) / (clock.monotonic_s() - begun)


def _drive(m: Model, x: State, o: Out, rows: I64, lines: I64, until: I64) -> None:
    event = line = 0
    while event < len(rows) or line < len(lines):
        event = int(fold(m, x, o, rows, event, len(rows))) if event < len(rows) else event
        if event == len(rows):
            line = int(pass_time(m, x, o, lines, until, line))
        o.n[:] = 0  # the engine takes the rows out here


def _out(stations: int) -> Out:
    kpis, intervals, paths, alerts, active, measured = (np.empty((_OUT_ROWS, width), np.int64) for width in _WIDTHS)
    return Out(
        kpis,
        intervals,
        paths,
        alerts,
        active,
        measured,
        np.zeros(at.N_OUT, np.int64),
        np.zeros(stations, np.int64),
        np.zeros((4, stations), np.int64),
        np.zeros(4, np.int64),
        np.zeros(bits.words(stations), np.int64),
        np.zeros(bits.words(stations), np.int64),
        np.zeros(stations, np.int64),
        np.zeros(stations, np.int64),
    )


def fold_counts(stations_hz: int) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    def prepare(_room: Room, size: int) -> AbstractContextManager[Repeat]:
        plant = inputs.plant(50, 20)
        blocks = list(inputs.blocks(plant, size, 1000 * stations_hz, BLOCK))
        folding = Folding(plant, rows_of(plant, blocks))
        folding.once()  # compiles
        return given(folding.once)

    return prepare


def fold_cycles(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(1, 20)
    folding = Folding(plant, rows_of(plant, list(inputs.cycle_blocks(plant, size, BLOCK))))
    folding.once()
    return given(folding.once)


@bare
def flow_of(m: Model, x: State, o: Out, rows: I64) -> None:
    """Cycle events of line 0 through the material flow and the critical path, in the order `kernels.fold.fold` has."""
    end = rows.shape[0]
    for i in range(end):
        t = rows[i, at.E_TS]
        s = rows[i, at.E_STATION]
        if rows[i, at.E_CODE] == END:
            complete(m, x, o, 0, s, 0, t)
            if i + 1 < end and rows[i + 1, at.E_TS] == t and rows[i + 1, at.E_CODE] == END:
                bits.add(o.pending, s)
                continue
        else:
            start(m, x, o, 0, s, 0, -1, rows, i, i, t)
            s = -1
        unblock(m, x, o, 0, s, rows, i, i, t)


class CriticalPath:
    """Rows of one line, all cycles, through the material flow alone."""

    def __init__(self, plant: Plant, rows: I64) -> None:
        self._plant = plant
        self._numbers = numbers(plant)
        self._rows = rows
        self._begin = int(rows[0, at.E_TS])
        self._model = model(self._numbers, self._begin, int(rows[-1, at.E_TS]))
        self.state = empty_state(plant, self._numbers)

    def once(self) -> float:
        """Events a second of the kernel call."""
        x = self.state = empty_state(self._plant, self._numbers)
        # What `kernels.fold.timers.begin_line` sets of the flow.
        x.lines[0, [at.L_PANE_START, at.L_TOTAL_START]] = self._begin
        x.stations[:, at.S_CYCLE_TS] = self._begin
        out = _out(len(x.stations))
        begin_cycles(self._model, x, out, 0, self._begin)
        begun = clock.monotonic_s()
        flow_of(self._model, x, out, self._rows)
        return len(self._rows) / (clock.monotonic_s() - begun)


def critical_path(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(1, 20)
    flowing = CriticalPath(plant, np.concatenate(rows_of(plant, list(inputs.cycle_blocks(plant, size, BLOCK)))))
    flowing.once()  # compiles
    return given(flowing.once)


def admission(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(50, 20)
    blocks = list(inputs.blocks(plant, size, 10_000, BLOCK))
    preparation = Preparation(plant, Texts())
    rows = [preparation.rows(block, 0) for block in blocks]

    def once() -> float:
        admitting = Admission(Engine(plant))
        begun = clock.monotonic_s()
        for mine, block in zip(rows, blocks, strict=True):
            admitting.admit(mine, block)
        return size / (clock.monotonic_s() - begun)

    once()
    return given(once)


def preparing(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    plant = inputs.plant(50, 20)
    blocks = list(inputs.blocks(plant, size, 10_000, BLOCK))

    def once() -> float:
        preparation = Preparation(plant, Texts())
        begun = clock.monotonic_s()
        for block in blocks:
            preparation.rows(block, 0)
        return size / (clock.monotonic_s() - begun)

    once()
    return given(once)


def ordering(jitter_ns: int) -> Callable[[Room, int], AbstractContextManager[Repeat]]:
    """`jitter_ns`: by how much neighbours may be out of order."""

    def prepare(_room: Room, size: int) -> AbstractContextManager[Repeat]:
        plant = inputs.plant(50, 20)
        preparation = Preparation(plant, Texts())
        random = np.random.default_rng(1)
        given_rows = []
        for block in inputs.blocks(plant, size, 10_000, BLOCK):
            rows = preparation.rows(block, 0)
            if jitter_ns:
                rows[:, at.E_TS] += random.integers(0, jitter_ns, len(rows))
            given_rows.append(rows)

        def once() -> float:
            waiting = Waiting()
            spent = 0.0
            for rows in given_rows:
                places = np.arange(len(rows))
                watermark = np.full(len(plant.lines), int(rows[:, at.E_TS].max()) - jitter_ns)
                begun = clock.monotonic_s()
                waiting.add(rows, places)
                waiting.take_due(watermark)
                spent += clock.monotonic_s() - begun
            return size / spent

        once()
        return given(once)

    return prepare


def oee(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    vectors = np.random.default_rng(1).integers(1, 1_000_000, (size, N_COLUMNS))
    roles = policy_matrix()[0]
    return given(_rate(size, lambda: ratios(vectors, roles)))


def shares(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    values = np.random.default_rng(1).integers(1, 1_000_000, (size // 20, 20))
    elapsed = values.sum(axis=1)
    return given(_rate(values.size, lambda: batch_means(values, elapsed)))


def active_periods(_room: Room, size: int) -> AbstractContextManager[Repeat]:
    """Of 20 stations: work of 1 to 60 s, then a wait of up to 30 s, and so on."""
    random = np.random.default_rng(1)
    each = size // 20
    lengths = random.integers(1, 60, (20, each)) * 1_000_000_000
    waits = random.integers(1, 30, (20, each)) * 1_000_000_000
    end = np.cumsum(lengths + waits, axis=1) - waits
    order = np.argsort((end - lengths).ravel(), kind="stable")
    begin, until = (end - lengths).ravel()[order], end.ravel()[order]
    station = np.repeat(np.arange(20), each)[order]
    last = int(until.max())

    def both() -> None:
        hindsight(begin, until, station, 20, 0, last)
        causal(begin, until, station, 20, 0, last)

    return given(_rate(20 * each, both))


def _rate(items: int, call: Callable[[], object]) -> Callable[[], float]:
    """Items a second of the call; it is made once here, to compile it."""
    call()

    def once() -> float:
        begun = clock.monotonic_s()
        call()
        return items / (clock.monotonic_s() - begun)

    return once


_COUNTS: Final = (
    "{size:,} events (nine counts to a state) of 1,000 stations in 50 lines, windows 1 h/1 min and 1 min/1 s"
)
_CYCLES: Final = "{size:,} cycle events of a serial line of 20 stations with buffers of 10, simulated"
_KERNEL: Final = "only the compiled calls, without the copying of rows before and behind them: the ceiling of the twin"

BENCHMARKS: Final = (
    Benchmark(
        "fold",
        "kernels",
        "sorted events into the state and into rows of results",
        _COUNTS + "; 100 events a second and station",
        (Count(_KERNEL, EVENTS_PER_S),),
        fold_counts(100),
        (1_000_000, 4_000_000),
    ),
    Benchmark(
        "fold-slow-source",
        "kernels",
        "the same: more time passes per event, so more steps, ticks and rows per event",
        _COUNTS + "; 10 events a second and station",
        (Count(_KERNEL, EVENTS_PER_S),),
        fold_counts(10),
        (1_000_000, 4_000_000),
    ),
    Benchmark(
        "fold-cycles",
        "kernels",
        "the same: cycles drive material flow, classes and the critical path",
        _CYCLES,
        (Count(_KERNEL, EVENTS_PER_S),),
        fold_cycles,
        (200_000, 1_000_000),
    ),
    Benchmark(
        "critical-path",
        "kernels",
        "material flow and the vectors of the critical path",
        _CYCLES,
        (
            Count(
                "only kernels/fold/flow, without classes, timers and rows: what the method itself costs", EVENTS_PER_S
            ),
        ),
        critical_path,
        (400_000, 2_000_000),
    ),
    Benchmark(
        "prepare",
        "kernels",
        "columns of a block into rows; words become the plant's numbers",
        _COUNTS,
        (Count("fill_rows and the look-up of words: both run for every event", EVENTS_PER_S),),
        preparing,
        (1_000_000, 4_000_000),
    ),
    Benchmark(
        "admit",
        "kernels",
        "duplicate, late, ahead: event by event, with the window of sequence numbers",
        _COUNTS,
        (Count("the kernel and the tally of its verdicts: both run for every block", EVENTS_PER_S),),
        admission,
        (1_000_000, 4_000_000),
    ),
    Benchmark(
        "order",
        "kernels",
        "events that are due, taken out line by line and sorted",
        _COUNTS + "; in order",
        (Count("count, copy and sort: what waiting for late events costs when there are none", EVENTS_PER_S),),
        ordering(0),
        (1_000_000, 4_000_000),
    ),
    Benchmark(
        "order-jitter",
        "kernels",
        "the same",
        _COUNTS + "; each up to 0.5 s late",
        (Count("the same, where the sources' events overtake each other", EVENTS_PER_S),),
        ordering(500_000_000),
        (1_000_000, 4_000_000),
    ),
    Benchmark(
        "oee",
        "kernels",
        "availability, performance, quality and OEE from integers",
        "{size:,} rows",
        (Count("the kernel: once per row of kpis", "rows/s"),),
        oee,
        (200_000, 1_000_000),
    ),
    Benchmark(
        "batch-means",
        "kernels",
        "shares of the critical path with their intervals",
        "{size:,} values of 20 stations",
        (Count("the kernel: once per bottleneck row, over its panes", "values/s"),),
        shares,
        (200_000, 1_000_000),
    ),
    Benchmark(
        "active-periods",
        "kernels",
        "sole, shifting and causal bottleneck from active periods",
        "{size:,} active periods of 20 stations",
        (Count("both kernels, hindsight and causal, on one array of periods", "periods/s"),),
        active_periods,
        (100_000, 400_000),
    ),
)
