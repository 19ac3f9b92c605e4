"""Reasons, durations and alerts in words: nowhere an id where there is a label, or a bare number of seconds."""

import csv
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kernels.fold import layout as at
from tests.support.biscuit import audited
from twin.alert_kinds import KINDS
from twin.events.reasons import REASONS
from twin.line.admission import _REASONS
from twin.line.doubts import FACTS, WHAT
from twin.measures.judged import SAYS
from twin.report.build import report
from twin.report.files import as_bytes, as_file
from twin.report.german import in_german
from twin.report.german_refusals import refusal_in_german
from twin.report.said import alert_said, coded, lasting, reason_said
from twin.report.tables import for_people, shaped
from twin.report.words import LANGUAGES, WORDS

LABELS = {"jam": {"en": "Jam", "de": "Stau"}, "film": {"de": "Keine Folie"}, "pl": {"pl": "zacięcie"}}
S = 10**9


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return report(audited(tmp_path_factory.mktemp("said"), days=1), "oven-1", "shift", "2026-03-16 early")


def test_a_reason_has_its_label_else_another_languages_else_its_id() -> None:
    assert [reason_said(one, LABELS, "en") for one in ("jam", "film", "pl", "R17", None)] == [
        "Jam",
        "Keine Folie",
        "zacięcie",
        "R17",
        None,
    ]
    assert reason_said("jam", LABELS, "de") == "Stau"


DURATIONS = [
    (0, "0 s"),
    (400_000_000, "0.4 s"),
    (9_949_999_999, "9.9 s"),
    (9_950_000_000, "10 s"),
    (59 * S + 499_999_999, "59 s"),
    (59 * S + 500_000_000, "1 min"),
    (12 * 60 * S + 5 * S, "12 min 05 s"),
    (3_599 * S + 500_000_000, "1 h"),
    (5 * 3_600 * S + 6 * 60 * S, "5 h 06 min"),
    (48 * 3_600 * S - 1, "2 d"),
    (76 * 3_600 * S, "3 d 4 h"),
]


def test_a_duration_is_rounded_at_its_last_part() -> None:
    for ns, said in DURATIONS:
        assert lasting(ns, "en") == said
    assert lasting(400_000_000, "de") == "0,4 s" and lasting(-90 * S, "en").endswith("1 min 30 s")


def test_the_pages_script_says_durations_alike(tmp_path: Path) -> None:
    """The same rule twice: once in the report, once in the browser."""
    import shutil

    if (node := shutil.which("node")) is None:
        pytest.skip("needs node")
    text = (Path(__file__).parents[3] / "streams/page/static/words.js").read_text()
    script = (
        "globalThis.location = { search: '?lang=en' };\n" + text + f"\nconst asked_ns = {[ns for ns, _ in DURATIONS]};"
    )
    (tmp_path / "words.mjs").write_text(script + "\nconsole.log(JSON.stringify(asked_ns.map(lasting)));")
    made = subprocess.run([node, str(tmp_path / "words.mjs")], capture_output=True, check=True)  # noqa: S603
    assert json.loads(made.stdout) == [said for _, said in DURATIONS]


def alert(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "action": "raised", "value": None, "limit": None, "detail": None, **more}


@pytest.mark.parametrize(
    ("row", "english", "german"),
    [
        (
            alert("down", value=754.2, limit=600.0, detail="seconds"),
            "stands for 12 min 34 s (limit 10 min)",
            "steht seit 12 min 34 s (Grenze 10 min)",
        ),
        (
            alert("stale", action="cleared", value=7_260.0, limit=60.0, detail="seconds"),
            "heard again after 2 h 01 min (limit 1 min)",
            "nach 2 h 01 min wieder gehört (Grenze 1 min)",
        ),
        (
            alert("oee_low", value=0.41, limit=0.6, detail="window 1h"),
            "OEE 41.0 % (limit 60.0 %), window 1h",
            "OEE 41,0 % (Grenze 60,0 %), Fenster 1h",
        ),
        (
            alert("ideal_cycle_suspect", value=1.034, limit=1.0, detail="performance"),
            "performance 103.4 % (limit 100.0 %)",
            "Leistung 103,4 % (Grenze 100,0 %)",
        ),
        (
            alert("bottleneck_moved", value=0.5, station="oven", detail="from mixer"),
            "mixer → oven (share of the critical path 50 %)",
            "mixer → oven (Anteil am kritischen Pfad 50 %)",
        ),
        (
            alert("data_quality", value=95.0, subject="skew", detail=FACTS[at.TOLD_SKEW][1]),
            f"1 min 35 s: {FACTS[at.TOLD_SKEW][1]}",
            "1 min 35 s: Ereignisse liegen immer hinter dem neuesten der Linie: ihre Uhr geht um so viele Sekunden "
            "nach, oder eine andere der Linie geht vor; die Uhren stellen oder `lateness` erhöhen",
        ),
        (
            alert("chart", value=12.31, limit=12.2, detail=f"xbar chart of weight: {SAYS['WE1'][1]} (WE1) at point 12"),
            "xbar chart of weight: one point beyond 3 sigma (WE1) at point 12; 12.31 (limit 12.20)",
            "xbar-Karte von weight: ein Punkt jenseits von 3 Sigma (WE1) an Punkt 12; 12,31 (Grenze 12,20)",
        ),
    ],
)
def test_an_alert_says_its_value_in_units(row: dict[str, Any], english: str, german: str) -> None:
    assert alert_said(row, "en") == english and alert_said(row, "de") == german


def test_what_only_the_fold_refuses_has_its_german() -> None:
    for _, text in _REASONS.values():
        assert refusal_in_german(text) != text and not re.search(r"\b(the|or|of)\b", refusal_in_german(text)), text
    assert refusal_in_german("line 'a' has no station 'b; c': 'd'") == "Linie 'a' hat keine Station 'b; c'; es gibt 'd'"
    assert refusal_in_german("somebody's own words") == "somebody's own words"


def test_every_sentence_of_doubt_has_its_german() -> None:
    told = [text.format("good; x") for text in WHAT.values()] + [text for _, text in FACTS.values()]
    for text in told:
        assert in_german(text) != text and not re.search(r"\b(the|were|and|of)\b", in_german(text)), text
    assert in_german("; ".join(told)) == "; ".join(map(in_german, told))
    assert in_german("somebody's own words") == "somebody's own words"
    for rule, (_, what) in SAYS.items():
        said = in_german(f"i chart of a b, product c: {what} ({rule}) at points 3 to 9")
        assert said.startswith("i-Karte von a b, product c: ") and said.endswith(f"({rule}) an den Punkten 3 bis 9")


def test_every_code_has_words() -> None:
    for group, codes in (("refused", REASONS), ("alert", KINDS), ("action", ("raised", "cleared"))):
        for code in codes:
            assert f"{group}_{code}" in WORDS, code
    assert coded("refused", "of_a_later_version", "de") == "of_a_later_version"


@pytest.mark.parametrize("language", LANGUAGES)
def test_reasons_stand_with_their_labels_everywhere(found: dict[str, Any], language: str) -> None:
    label = {"en": "Jam at the infeed", "de": "Stau am Einlauf"}[language]
    assert any(one["reason"] == "jam" for one in found["pareto"])  # the rows of programs keep the id
    html = as_file(found, "html", "", language)
    assert not re.search(r"[>(: ]jam[<) ]", html)
    assert html.count(label) > 4 and html.count("Keine Folie") > 2  # a retired one, and of another language
    for name in ("pareto", "charged"):
        rows = list(csv.DictReader(io.StringIO(as_file(found, "csv", name, language))))
        assert {row["reason_label"] for row in rows if row["reason"] == "jam"} == {label}
        assert {row["reason_label"] for row in rows if row["reason"] == "<b>glaze</b>"} == {"<b>glaze</b>"}
    states = shaped("states", [{"reason": "jam", "class": "down"}], language, found["labels"])
    assert for_people(states, "UTC", language)["rows"][0][4] == label


def test_a_workbook_has_label_and_id(found: dict[str, Any]) -> None:
    calamine, _ = pytest.importorskip("python_calamine"), pytest.importorskip("xlsxwriter")
    book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(as_bytes(found, "xlsx", "", "de")))
    head, *rows = book.get_sheet_by_name("pareto").to_python()
    label, name = head.index("Grund"), head.index("Grund (id)")
    assert {row[label] for row in rows if row[name] == "jam"} == {"Stau am Einlauf"}


def test_tables_of_alerts_and_refusals_are_in_words(found: dict[str, Any]) -> None:
    row = {**alert("down", value=754.2, limit=600.0, detail="seconds"), "ts": "2026-03-16T06:00:00Z", "station": "oven"}
    shown = for_people(shaped("alerts", [row], "de", {}), "Europe/Berlin", "de")
    assert shown["rows"] == [
        ["2026-03-16 07:00", "oven", "Störung", "gemeldet", "steht seit 12 min 34 s (Grenze 10 min)"]
    ]
    made = as_file({**found, "alerts": [row]}, "csv", "alerts", "en").splitlines()[1]
    assert made == "2026-03-16 07:00:00,oven,down,raised,stands for 12 min 34 s (limit 10 min)"
    place = {"source_topic": "e", "source_partition": 0, "source_offset": 7}
    refused = {"ts": None, "reason": "late", "detail": "x", "value": "", **place}
    assert for_people(shaped("refused", [refused], "de", {}), "UTC", "de")["rows"][0][1] == "zu spät"
