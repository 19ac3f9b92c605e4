"""Benchmarks: declared completely, measured by what they say, written and read back, made into tables."""

import json
from pathlib import Path

import numpy as np
import pytest

import streams.cli
from kernels.codes import END
from kernels.fold import layout as at
from streams.bench import in_kernels, inputs, latency, reading, report, run
from streams.bench.catalog import ALL
from streams.bench.declare import BenchError, Benchmark, Count, Room, given
from streams.bench.figures import Figure, FiguresError, Report, decode, encode, merge
from streams.bench.targets import TARGETS, Target
from streams.cli import main
from twin.line import PartitionTwin

HOME = Path(streams.cli.__file__).resolve().parents[2]
MACHINE = {"cpu": "x", "cores": "2"}


def figure(name: str, *values: float, **more: str) -> Figure:
    return Figure(name, more.pop("group", "g"), "c", more.pop("unit", "events/s"), list(values), **more)


def written(*figures: Figure, machine: dict[str, str] = MACHINE) -> Report:
    return Report(machine, {"Python": "3"}, list(figures))


def test_every_benchmark_is_declared_completely_and_once() -> None:
    names = [one.figure_name(count) for one in ALL for count in one.counts]
    assert len(set(names)) == len(names)
    for one in ALL:
        assert one.hot_path and one.input.format(size=one.size[0])
        assert one.counts and all(count.counted and count.unit for count in one.counts)
        assert one.repeats[1] >= max(one.repeats[0], 1)
        assert one.size[0] <= one.size[1]


def test_the_targets_name_figures_that_exist() -> None:
    names = {one.figure_name(count) for one in ALL for count in one.counts}
    assert {t.figure for t in TARGETS if not t.figure.startswith("peers-")} <= names


def test_a_benchmark_is_set_up_once_and_each_count_gets_its_values() -> None:
    prepared = []
    values = iter(range(100))

    def prepare(_room: Room, size: int):  # type: ignore[no-untyped-def]  # the context is `given`'s
        prepared.append(size)
        return given(lambda: float(next(values)))

    one = Benchmark("b", "g", "hot", "{size:,} events", (Count("c", "s"),), prepare, (1_000, 2_000), (2, 3))
    with Room() as room:
        (found,) = run.measure(one, room, long=True, repeats=None)
    assert prepared == [2_000]
    assert list(found.values) == [0.0, 1.0, 2.0]
    assert found.input == "2,000 events"


def test_one_that_fails_leaves_the_others_their_figures() -> None:
    def broken(_room: Room, _size: int):  # type: ignore[no-untyped-def]  # never returns
        raise BenchError("no Java")

    good = Benchmark("good", "g", "h", "i", (Count("c", "s"),), lambda _r, _s: given(lambda: 1.0), (1, 1))
    bad = Benchmark("bad", "g", "h", "i", (Count("c", "s"),), broken, (1, 1))
    told, failed = run.run([bad, good], long=False, repeats=1, note=lambda _: None)
    assert [f.name for f in told.figures] == ["good"]
    assert failed == ["bad: BenchError: no Java"]


def test_names_and_groups_choose_and_unknown_ones_are_refused() -> None:
    assert [one.name for one in run.chosen(ALL, ["fold"], long=False)] == ["fold"]
    assert {one.group for one in run.chosen(ALL, ["wire"], long=False)} == {"wire"}
    assert all(one.repeats[0] for one in run.chosen(ALL, [], long=False))
    assert len(run.chosen(ALL, [], long=True)) == len(ALL)
    with pytest.raises(BenchError, match="nothing-like-it"):
        run.chosen(ALL, ["nothing-like-it"], long=False)


def test_the_command_measures_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    assert main(["bench", "oee", "--repeats", "2", "--json", str(file)]) == 0
    (found,) = decode(file.read_bytes(), "x").figures
    assert (found.name, len(found.values)) == ("oee", 2)
    assert all(value > 0 for value in found.values)
    assert "oee" in capsys.readouterr().out
    assert main(["bench", "oe"]) == 2
    assert main(["bench", "--list"]) == 0
    assert "worker-json" in capsys.readouterr().out


def test_figures_are_read_back_as_they_were_written() -> None:
    told = written(figure("a", 1.0, 2.5, beside="b", hot_path="h"), figure("b", 3.0))
    assert decode(encode(told), "x") == told


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema": 2}, "schema 2"), ({"figures": 1}, "not figures"), ({"colour": "red"}, "not figures")],
)
def test_a_file_that_is_no_figures_is_refused(change: dict[str, object], message: str) -> None:
    data = json.loads(encode(written(figure("a", 1.0)))) | change
    with pytest.raises(FiguresError, match=message):
        decode(json.dumps(data).encode(), "f.json")
    with pytest.raises(FiguresError, match="no values for a"):
        decode(encode(written(figure("a"))), "f.json")


def test_merging_takes_the_later_figure_of_a_name_and_one_machine_only() -> None:
    both = merge([written(figure("a", 1.0), figure("b", 2.0)), written(figure("a", 9.0), figure("c", 3.0))])
    assert [(f.name, f.median) for f in both.figures] == [("a", 9.0), ("b", 2.0), ("c", 3.0)]
    with pytest.raises(FiguresError, match="two machines"):
        merge([written(figure("a", 1.0)), written(figure("b", 1.0), machine={"cpu": "y"})])


def test_the_tables_hold_the_figures_and_writing_them_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / report.PAGE
    page.write_text(f"before\n{report.BEGIN}STALE\n{report.END}\nafter\n")
    ours = tmp_path / "ours.json"
    ours.write_bytes(encode(written(figure("fold", 28e6, 31e6, 33e6, group="kernels"), figure("b", 40.0))))
    peers = tmp_path / "peers.json"
    peers.write_bytes(encode(written(figure("stock", 10.0, beside="b"), figure("slow", 2.0, unit="s", beside="b"))))
    assert report.main([str(ours), str(peers)], tmp_path) == 0
    first = page.read_text()
    assert first.startswith("before\n") and first.endswith(f"{report.END}\nafter\n") and "STALE" not in first
    assert "| fold |  | c | **31,000,000** events/s, 28,000,000 to 33,000,000 |" in first
    assert (
        "| fold kernel, 1,000 stations | 30,000,000 events/s | 60,000,000 events/s | 31,000,000 events/s | least |"
        in first
    )
    assert "| stock | c | 10 | 40 | events/s | 4 |" in first
    assert "| slow | c | 2 | 40 | s | 0.05 |" in first
    assert report.main([], tmp_path) == 0
    assert page.read_text() == first


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / report.PAGE).write_text("no marks\n")
    (tmp_path / report.DATA).write_bytes(encode(written(figure("a", 1.0))))
    assert report.main([], tmp_path) == 2
    assert "marks" in capsys.readouterr().err
    assert (tmp_path / report.PAGE).read_text() == "no marks\n"


def test_the_page_of_the_project_is_what_its_figures_give() -> None:
    text = (HOME / report.PAGE).read_text()
    data = HOME / report.DATA
    if data.exists():
        assert report.with_figures(text, decode(data.read_bytes(), str(data))) == text, "run `make docs`"
    else:
        assert report.BEGIN + report.END in text


def test_a_target_is_a_median_or_a_ratio_to_the_best_other() -> None:
    figures = {f.name: f for f in (figure("a", 10.0), figure("x", 2.0), figure("y", 5.0))}
    assert Target("t", "a", 1, 2, "u").value(figures) == 10.0
    assert Target("t", "a", 1, 2, "u", over=("x", "y", "z")).value(figures) == 2.0
    assert Target("t", "a", 1, 2, "u", over=("z",)).value(figures) is None
    assert Target("t", "z", 1, 2, "u").value(figures) is None
    quick = Target("t", "a", 5, 2, "s", most=True)
    assert [quick.reached(v) for v in (1.0, 5.0, 5.1)] == ["aim", "least", "no"]
    rate = Target("t", "a", 5, 10, "u")
    assert [rate.reached(v) for v in (12.0, 5.0, 4.9)] == ["aim", "least", "no"]


def test_the_simulated_line_never_contradicts_its_plant() -> None:
    plant = inputs.plant(1, 20)
    twin = PartitionTwin(plant, 0)
    for block in inputs.cycle_blocks(plant, 20_000):
        twin.fold(block)
    assert twin.engine.state.lines[0, at.L_FOLDED] > 19_000
    assert twin.engine.state.lines[0, at.L_CONTRADICTIONS] == 0


def test_the_critical_path_loop_gives_the_paths_of_the_fold() -> None:
    """Otherwise the benchmark would time something that the product does not do."""
    plant = inputs.plant(1, 20)
    (block,) = inputs.cycle_blocks(plant, 4_000, block=1 << 20)
    (rows,) = in_kernels.rows_of(plant, [block])
    driven, folded = in_kernels.CriticalPath(plant, rows), in_kernels.Folding(plant, [rows])
    driven.once()
    folded.once()
    assert driven.state.lines[0, at.L_CONTRADICTIONS] == 0
    np.testing.assert_array_equal(driven.state.vectors[at.V_TOTAL], folded.state.vectors[at.V_TOTAL])
    assert driven.state.vectors[at.V_TOTAL].any()
    assert (rows[:, at.E_CODE] == END).sum() * 2 == len(rows)


def test_the_fold_alone_comes_to_the_state_of_the_twin() -> None:
    plant = inputs.plant(2, 5)
    blocks = list(inputs.blocks(plant, 30_000, 100, 10_000))
    folding = in_kernels.Folding(plant, in_kernels.rows_of(plant, blocks))
    folding.once()
    twin = PartitionTwin(plant, 0)
    for block in blocks:
        twin.fold(block)
    # The twin keeps the last second back, in case something late comes.
    good = int(twin.engine.state.lines[:, at.L_FOLDED].sum())
    assert 0 <= int(folding.state.lines[:, at.L_FOLDED].sum()) - good <= 2 * 100


def test_latency_is_to_the_first_result_behind_the_event() -> None:
    seen = latency.Seen()
    for until, now in ((100, 130), (100, 140), (90, 150), (200, 260)):
        seen.note("l", until, now)
    # At its end a row does not yet hold the event; what no row covers is left out.
    found = seen.latencies_s("l", np.array([10, 99, 100, 199, 200]))
    np.testing.assert_allclose(found, np.array([120, 31, 160, 61]) / 1e9)
    assert len(seen.latencies_s("other", np.array([1]))) == 0


def test_times_of_the_topics_are_read_to_the_nanosecond() -> None:
    assert latency.nanoseconds("2026-01-01T00:00:00.100000001Z") == inputs.START_NS + 100_000_001


@pytest.mark.parametrize(
    ("value", "text"),
    [(28_345_678.0, "28,300,000"), (999.6, "1,000"), (4.164, "4.16"), (0.05234, "0.0523"), (0.0, "0"), (100.0, "100")],
)
def test_numbers_show_three_digits(value: float, text: str) -> None:
    assert run.number(value) == text


@pytest.mark.parametrize("one", reading.BENCHMARKS, ids=lambda one: one.name)
def test_logs_of_every_shape_are_read_whole(one: Benchmark) -> None:
    """The benchmark itself refuses to count where a row is lost or a problem told."""
    with Room() as room, one.prepare(room, 500) as once:
        (rate,) = once()
    assert rate > 0


def test_a_shift_of_a_replayed_root_is_computed_again() -> None:
    (one,) = (one for one in ALL if one.name == "recompute-shift")
    with Room() as room, one.prepare(room, 90_000) as once:
        assert min(once()) > 0
