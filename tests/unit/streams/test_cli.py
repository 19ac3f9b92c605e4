"""The command line itself: help, examples, laziness, exit codes. What the commands do is tested where it is written."""

import argparse
import json
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pyarrow import MonthDayNano

import streams.cli
from streams.cli import audit, main
from streams.cli.errors import EXIT_CODES, INTERNAL, PROBLEM, USAGE, CommandError, explain
from streams.cli.parser import build
from streams.cli.reference import PAGES, leaves, page
from twin import plant as plants

COMMANDS = {
    "demo",
    "doctor",
    "config show",
    "broker",
    "topics plan",
    "topics apply",
    "topics move",
    "worker",
    "feed",
    "replay",
    "watch",
    "source check",
    "source schema",
    "plant check",
    "plant schema",
    "schema",
    "audit ls",
    "audit note",
    "audit query",
    "audit digest",
    "audit verify",
    "audit recompute",
    "audit export",
    "audit files",
    "audit copy",
    "audit compact",
    "audit prune",
    "bench",
    "warm",
    "health",
    "correct",
    "notify",
    "report",
    "page",
    "figures chart",
    "figures run",
    "figures list",
    "figures usage",
}
HEAVY = ("numba", "numpy", "pyarrow", "faust", "aiokafka", "msgspec", "rich", "asyncio", "duckdb")


def parsers() -> dict[str, argparse.ArgumentParser]:
    return {parser.prog.removeprefix("twin "): parser for parser in leaves(build())}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603  own code


def test_every_promised_command_is_there() -> None:
    assert set(parsers()) == COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_ends_well_and_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--help"])
    assert end.value.code == 0
    assert f"example:\n  twin {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_example_is_accepted_by_the_parser(name: str) -> None:
    example = (parsers()[name].epilog or "").splitlines()[1].partition(" > ")[0]
    args = build().parse_args(shlex.split(example)[1:])
    assert callable(args.run)


def test_help_and_parsing_import_nothing_heavy() -> None:
    code = (
        "import sys, streams.cli\n"
        "try: streams.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    ran = run_python(code)
    assert ran.stdout.startswith("usage: twin")
    assert ran.stderr == ""


def test_no_command_prints_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == USAGE
    assert "exit codes:" in capsys.readouterr().out


def test_an_unknown_option_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as end:
        main(["replay", "--plnt", "x"])
    assert end.value.code == USAGE


def test_a_missing_plant_file_is_one_message_without_a_trace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["plant", "check", str(tmp_path / "none.toml")]) == USAGE
    error = capsys.readouterr().err
    assert "none.toml" in error
    assert "Traceback" not in error


def test_a_plant_file_with_mistakes_names_each_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plant = tmp_path / "plant.toml"
    plant.write_text('site = "x"\ncolour = "red"\n')
    assert main(["plant", "check", str(plant)]) == USAGE
    assert "plant.toml:2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["plant", "check", "none.toml"], USAGE),
        (["audit", "verify", "none"], USAGE),
        (["audit", "verify", "none", "--against-topic"], USAGE),
        (["topics", "plan", "--bootstrap", "127.0.0.1:1"], PROBLEM),
    ],
)
def test_debug_shows_the_trace_and_ends_with_the_same_code(
    argv: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that asks by the code must not be told another thing because somebody looks for a fault."""
    assert main(argv) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    monkeypatch.setenv("TAKTWIN_DEBUG", "1")
    assert main(argv) == code
    with_trace = capsys.readouterr().err
    assert "Traceback" in with_trace
    assert with_trace.endswith(said)


def test_plant_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plant", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "object"


def test_event_schema_as_json_and_arrow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--json-schema"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)
    assert main(["schema", "--arrow"]) == 0
    assert "station" in capsys.readouterr().out


def test_errors_become_their_exit_codes() -> None:
    assert explain(CommandError("x", 71)) == ("x", 71)
    assert explain(ValueError("odd"))[1] == INTERNAL
    assert explain(FileNotFoundError(2, "No such file or directory", "a.csv")) == (
        "a.csv: there is no such file or folder; check the path",
        USAGE,
    )
    from aiokafka.errors import KafkaConnectionError

    message, code = explain(KafkaConnectionError("Unable to bootstrap"))
    assert code == PROBLEM
    assert "twin doctor" in message
    from aiokafka.errors import GroupCoordinatorNotAvailableError, UnknownTopicOrPartitionError

    for error, sentence in (
        (GroupCoordinatorNotAvailableError(), "not ready for groups yet"),
        (UnknownTopicOrPartitionError("Topic twin.lines not found in cluster metadata"), "Topic twin.lines is missing"),
    ):
        assert sentence in explain(error)[0]
    assert "a folder is needed" in explain(NotADirectoryError(20, "Not a directory", "a.csv"))[0]


def test_a_foreign_kernels_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    home = Path(streams.cli.__file__).resolve().parents[2]
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(home)!r}]\n"
        "import streams.cli; sys.exit(streams.cli.main(['plant', 'schema']))"
    )
    ran = run_python(code)
    assert ran.returncode == INTERNAL
    assert "kernels" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_reference_page_is_current_and_complete() -> None:
    text = page()
    home = Path(streams.cli.__file__).resolve().parents[2]
    assert (home / "docs" / "cli.md").read_text() == text, "run `make docs`"
    for name in COMMANDS:
        assert f"## twin {name}\n" in text
    for code in EXIT_CODES:
        assert f"| {code} |" in text


def test_the_plant_in_the_readme_is_a_plant() -> None:
    readme = (Path(streams.cli.__file__).resolve().parents[2] / "README.md").read_text()
    plant = plants.loads(readme.partition("```toml\n")[2].partition("```")[0], "README.md")
    assert [station.id for station in plant.stations] == ["filler", "capper"]


@pytest.mark.parametrize("name", PAGES)
def test_what_is_made_of_the_code_is_current(name: str) -> None:
    text = (Path(streams.cli.__file__).resolve().parents[2] / "docs" / f"{name}.md").read_text()
    assert PAGES[name](text) == text, "run `make docs`"


def test_the_settings_are_in_the_documentation() -> None:
    text = (Path(streams.cli.__file__).resolve().parents[2] / "docs" / "operating.md").read_text()
    assert "| `TAKTWIN_BOOTSTRAP` | `127.0.0.1:9092` |" in text


def test_a_query_shows_instants_to_the_nanosecond() -> None:
    import pyarrow as pa

    from streams.cli.audit import _readable_times

    instants = pa.array([1_567_401_494_000_000_001, None], pa.timestamp("ns", tz="UTC"))
    shown = _readable_times(pa.table({"ts": instants, "n": [1, 2]})).to_pylist()
    assert shown == [{"ts": "2019-09-02 05:18:14.000000001Z", "n": 1}, {"ts": None, "n": 2}]


def test_cells_of_a_query() -> None:
    cells = [1_792_382_400.5, 0.5830291, 86_400.123, float("nan"), Decimal(7), MonthDayNano((0, 7, 12_600_500_000_000))]
    shown = ["1792382400.5", "0.583029", "86400.123", "nan", "7", "7 days 03:30:00.5"]
    assert [audit._text(cell) for cell in cells] == shown
    assert [audit._plain(cell) for cell in cells[4:]] == [7, "7 days 03:30:00.5"]
    assert audit._text(MonthDayNano((0, 0, 0))) == "00:00:00" and audit._plain(Decimal("0.50")) == "0.50"
