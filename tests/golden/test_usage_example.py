"""The example of usage, worked out by hand (docs/usage.md), and what its figures say of sparse and missing things.

Running takes 0.5 kWh a minute and 12 m3/h of air, waiting 0.1 and 4, standing 0.02 and none. It runs from 06:00 to
06:40, waits until 06:55, runs until 07:30, stands until 07:45, runs until 08:00: 90, 15 and 15 minutes.
"""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streams.cli import main
from twin import plant as plants
from twin.audit.query import query
from twin.replay import replay
from twin.report import ReportError
from twin.report.build import Sheet, report
from twin.report.factors import load
from twin.report.spans import between, site_of, span_of
from twin.report.usage import usage
from twin.sources import load_mapping, open_logs

FOLDER = Path(__file__).parents[2] / "examples" / "usage"
LINE, SHIFT = "press-1", "2026-03-02 early"
T = "2026-03-02T"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replayed(tmp_path_factory.mktemp("usage"), (FOLDER / "tags.csv").read_text())


def replayed(folder: Path, log: str) -> Path:
    plant = plants.load(FOLDER / "plant.toml")
    (folder / "tags.csv").write_text(log)
    logs = open_logs([folder / "tags.csv"], plant, load_mapping(FOLDER / "mapping.toml", plant))
    summary = replay(plant, logs, folder / "audit")
    assert not summary.summary.problems if hasattr(summary, "summary") else True
    return folder / "audit"


def figures(
    root: Path, kind: str = "shift", value: str = SHIFT, factors: Path | None = None
) -> dict[str, dict[str, Any]]:
    line = site_of(root).line(LINE)
    rows = usage(Sheet(root, line, span_of(root, line, kind, value)), load(factors) if factors else None)
    return {row["measure"]: row for row in rows}


def test_the_shift_by_hand(root: Path) -> None:
    found = figures(root, factors=FOLDER / "factors.toml")
    electricity, air = found["electricity"], found["air"]
    expected = {
        "unit": "kWh",
        "amount": Fraction("46.8"),  # 90 x 0.5 + 15 x 0.1 + 15 x 0.02
        "running": 45,
        "idle": Fraction("1.5"),
        "stopped": Fraction("0.3"),
        "setup": 0,
        "off": 0,
        "unknown": 0,
        "idle_share": Fraction("1.5") / Fraction("46.8"),
        "non_value_share": Fraction("1.8") / Fraction("46.8"),
        "per_good": Fraction("46.8") / 180,  # 0.26
        "per_produced": Fraction("46.8") / 200,  # 0.234
        "in_not_good": Fraction("4.68"),  # 20 of 200 parts
        "base_load": Fraction("1.2"),  # 0.3 kWh from 07:30 to 07:45
        "peak": 30,
        "quarters": 8,
        "co2e": Fraction("16.32"),  # 24.0 x 0.3 until 07:00, 22.8 x 0.4 after it
        "co2e_per_good": Fraction("16.32") / 180,
        "money": Fraction("11.7"),
    }
    assert {key: electricity[key] for key in expected} == expected
    expected = {
        "unit": "m3",
        "amount": 19,  # 1.5 h x 12 + 0.25 h x 4
        "running": 18,
        "idle": 1,
        "stopped": 0,
        "peak": 12,
        "base_load": 0,
        "co2e": None,  # the set has no factor of it
        "money": Fraction("0.38"),
    }
    assert {key: air[key] for key in expected} == expected


def test_half_of_the_shift(root: Path) -> None:
    found = figures(root, "span", f"{T}06:00:00Z/{T}07:00:00Z")
    assert (found["electricity"]["amount"], found["air"]["amount"]) == (24, Fraction("10"))
    assert found["electricity"]["quarters"] == 4


def test_a_revised_factor_gives_another_figure_and_a_missing_one_none(root: Path, tmp_path: Path) -> None:
    text = (FOLDER / "factors.toml").read_text()
    (tmp_path / "f.toml").write_text(text.replace('"0.4"', '"0.5"').replace("2026-3", "2026-4"))
    assert figures(root, factors=tmp_path / "f.toml")["electricity"]["co2e"] == Fraction("18.6")
    (tmp_path / "f.toml").write_text(text.replace("2026-03-02T00:00:00Z", "2026-03-02T06:30:00Z"))
    assert figures(root, factors=tmp_path / "f.toml")["electricity"]["co2e"] is None
    (tmp_path / "f.toml").write_text(text.replace("2026-03-03T00:00:00Z", "2026-03-02T07:59:00Z"))
    assert figures(root, factors=tmp_path / "f.toml")["electricity"]["co2e"] is None
    assert load(FOLDER / "factors.toml").hash != load(tmp_path / "f.toml").hash


def test_a_meter_read_by_the_hour_has_no_quarter_hours(tmp_path: Path) -> None:
    """Its hour would stand in one quarter, four times as high; and no factor that changes in between is its own."""
    lines = (FOLDER / "tags.csv").read_text().splitlines(keepends=True)
    some = [line for line in lines if ";Press.kWh;" not in line or line[13:19] in (":00:00", "")]
    kept = [line for line in some if ";Press.kWh;" not in line or line[14:16] == "00"]
    found = figures(replayed(tmp_path, "".join(kept)), factors=FOLDER / "factors.toml")["electricity"]
    assert (found["amount"], found["quarters"], found["peak"], found["base_load"]) == (Fraction("46.8"), 0, None, None)
    # From 06:00 to 07:00 and from 07:00 to 08:00 one factor each: the hours are those of the factors.
    assert found["co2e"] == Fraction("16.32")
    # By time: 40 + 5 of 60 minutes ran, 15 waited, of 24 kWh; 45 ran and 15 stood of 22.8.
    assert found["running"] == 18 + Fraction("17.1")
    text = (FOLDER / "factors.toml").read_text().replace("07:00:00Z", "07:10:00Z")
    (tmp_path / "f.toml").write_text(text)
    assert figures(tmp_path / "audit", factors=tmp_path / "f.toml")["electricity"]["co2e"] is None


def test_the_view_and_the_report_have_the_same_sums(root: Path) -> None:
    pytest.importorskip("duckdb")
    asked = (
        "SELECT measure, during, sum(amount_scaled) AS n, sum(amount) AS amount FROM usage GROUP BY ALL ORDER BY ALL"
    )
    found = [(row["measure"], row["during"], row["n"], row["amount"]) for row in query(root, asked).to_pylist()]
    assert found == [
        ("air", "running", 18_000, 18.0),
        ("air", "stopped", 0, 0),
        ("air", "waiting", 1_000, 1.0),
        ("electricity", "running", 45_000, 45.0),
        ("electricity", "stopped", 300, 0.3),
        ("electricity", "waiting", 1_500, 1.5),
    ]
    made = {row["measure"]: row for row in report(root, LINE, "shift", SHIFT)["usage"]}
    assert (made["electricity"]["per_good"], made["air"]["amount"]) == (46.8 / 180, 19.0)
    json.dumps(made)


def test_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    factors = str(FOLDER / "factors.toml")
    command = ["figures", "usage", str(root), "--line", LINE, "--shift", SHIFT, "--factors", factors]
    assert main(command) == 0
    text = capsys.readouterr()
    assert "46.8" in text.out
    assert "16.32" in text.out
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["factors"]["version"] == "2026-3"
    assert {row["measure"]: row["co2e"] for row in found["usage"]} == {"air": None, "electricity": "408/25"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('version = "2026-3"', ""), r"f.toml:1: version: is missing; add version = "),
        (('"0.4"', '"0,4"'), r"factor\[1\].values\[2\]: '0,4' is not a decimal"),
        (("07:00:00Z", "00:00:00Z"), r"factor\[1\].values: must rise"),
        (('per = "kWh"', 'pre = "kWh"'), r'factor\[1\].pre: unknown key "pre"; did you mean "per"\?'),
        (('version = "2026-3"', 'version = "1"\nuntil = "2027"'), r"until: unknown key"),
        (
            ('values = [["2026-03-02T00:00:00Z", "0.3"]', 'values = [["2026-03-02", "0.3"]'),
            r"values\[1\]: 2026-03-02: ",
        ),
        (('quantity = "energy"', 'quantity = "energy"\nmeasure = "electricity"'), "either a `quantity` or a `measure`"),
        (('quantity = "compressed_air"\nper = "m3"', 'quantity = "energy"\nper = "kWh"'), "stands twice"),
    ],
)
def test_mistakes_in_factors(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    (tmp_path / "f.toml").write_text((FOLDER / "factors.toml").read_text().replace(*change))
    with pytest.raises(ReportError, match=told):
        load(tmp_path / "f.toml")


def test_a_span_that_is_no_part_of_the_log(root: Path) -> None:
    line = site_of(root).line(LINE)
    assert usage(Sheet(root, line, between("2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"))) == []


def test_co2e_and_money_in_the_report(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As by hand in docs/usage.md; a revised factor gives another figure under another hash, none gives none."""
    known = load(FOLDER / "factors.toml")
    found = {
        (row["measure"], row["gives"]): row for row in report(root, LINE, "shift", SHIFT, factors=known)["by_factor"]
    }
    assert found["electricity", "co2e"]["value"] == 16.32 and found["electricity", "co2e"]["in_unit"] == "kg"
    assert (found["electricity", "money"]["value"], found["air", "money"]["value"]) == (11.7, 0.38)
    assert found["electricity", "money"]["per_good"] == 0.065
    assert found["air", "co2e"]["value"] is None
    assert {row["factors"] for row in found.values()} == {f"2026-3 ({known.hash})"}
    assert report(root, LINE, "shift", SHIFT)["by_factor"] == []
    other = tmp_path / "factors.toml"
    other.write_text((FOLDER / "factors.toml").read_text().replace('"0.25"', '"0.5"'))
    span = ["--line", LINE, "--shift", SHIFT, "--format", "csv", "--table", "by_factor"]
    assert main(["report", str(root), *span, "--factors", str(other)]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    money = next(row for row in rows if row[1:3] == ["electricity", "money"])
    assert float(money[3]) == 23.4 and load(other).hash in money[-1]
