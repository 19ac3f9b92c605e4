"""The schemas that other services read by: current, true of what is sent, and only ever growing."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from streams.cli import main
from streams.kafka.topics import desired
from streams.schemas import asyncapi, breaking, documents, results, text_of
from streams.settings import Settings
from streams.worker.health import schema_pages
from streams.worker.publish import TOPIC_OF, json_rows
from tests.unit.twin.line.test_line_stops import T0, S
from tests.unit.twin.line.test_station_orders import text
from twin import plant as plants
from twin.audit.read import open_set
from twin.line import PartitionTwin
from twin.wire.decode import Decoder

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "schemas"
MOST_VERSIONS = 10


def git(*command: str) -> str:
    ran = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return ran.stdout if ran.returncode == 0 else ""


def test_the_files_are_current() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(documents())
    for name, document in documents().items():
        assert (FOLDER / name).read_text() == text_of(document), f"{name}: run `make docs`"


@pytest.mark.parametrize("name", sorted(documents()))
def test_nothing_that_was_promised_in_an_earlier_commit_is_broken(name: str) -> None:
    path = f"docs/schemas/{name}"
    for commit in git("log", f"-{MOST_VERSIONS}", "--format=%h", "--", path).split():
        before = json.loads(git("show", f"{commit}:{path}") or "{}")
        assert breaking(before, documents()[name]) == [], f"compared with {commit}"


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("schemas") / "audit"
    examples = ROOT / "examples"
    logs = [str(examples / name) for name in ("five-stations/events.csv.gz", "tablet-press/3.csv.gz")]
    assert main(["replay", "--plant", str(examples / "demo" / "plant.toml"), *logs, "--audit", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a meter and a gauge, both over the ends of intervals; the gauge with a chart."""
    folder = tmp_path_factory.mktemp("measured")
    kinds = {"electricity": "meter", "heat": "gauge"}
    said = "".join(
        f'[[line.station.measure]]\nid = "{name}"\nkind = "{kind}"\nunit = "kWh"\n' for name, kind in kinds.items()
    )
    said += 'chart = { type = "i_mr", baseline = 4 }\n'  # of the last, the gauge
    (folder / "plant.toml").write_text(text(1) + said)
    events = [
        {"type": "measure", "ts": T0 + minute * 60 * S, "line": "L", "station": "s0", "measure": name, "value": minute}
        for minute in range(0, 60, 7)
        for name in kinds
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    root = folder / "audit"
    logs = [str(folder / "log.jsonl")]
    assert main(["replay", "--plant", str(folder / "plant.toml"), *logs, "--audit", str(root)]) == 0
    return root


@pytest.mark.parametrize("name", sorted(TOPIC_OF))
def test_rows_of_a_real_log_are_as_the_schema_says(audit: Path, measured: Path, name: str) -> None:
    schema = results()[name]
    Draft202012Validator.check_schema(schema)
    table = open_set(measured if name in ("measures", "samples") else audit, name).to_table()
    if "date" in table.column_names:
        table = table.drop_columns(["date"])
    rows = [json.loads(value) for _, value in json_rows(name, table.slice(0, 300))]
    assert rows
    validator = Draft202012Validator(schema)
    for row in rows:
        validator.validate(row)
        assert row.keys() == schema["properties"].keys(), "no field is sent that the schema does not know, and all are"
    for wrong in ({**rows[0], "id": 5}, {**rows[0], "set": "states"}, {"id": rows[0]["id"]}):
        assert not validator.is_valid(wrong)


def test_views_are_as_the_schema_says() -> None:
    plant = plants.load(ROOT / "examples" / "demo" / "plant.toml")
    twin = PartitionTwin(plant, 0)
    line = plant.lines[0]
    station = line.stations[0].id
    ts = 1_767_225_600_123_456_789
    event = {"type": "heartbeat", "ts": ts, "line": line.id, "station": station}
    later = {**event, "ts": ts + 2_000_000_000}
    block, rejected = Decoder(plant).decode([json.dumps([event, later]).encode()], [0])
    assert not rejected
    twin.fold(block)
    (view,) = (json.loads(msgspec.json.encode(view)) for view in twin.view())
    Draft202012Validator(results()["lines"]).validate(view)
    assert view.keys() == results()["lines"]["properties"].keys()
    assert view["newest"] == "2026-01-01T00:00:02.123456789Z"


def test_events_that_the_decoder_takes_are_as_the_schema_says() -> None:
    validator = Draft202012Validator(documents()["event.schema.json"])
    seen = 0
    for part in (ROOT / "docs" / "events.md").read_text().split("```json\n")[1:]:
        example = part.partition("```")[0].strip()
        for record in [example] if example.startswith("[") else example.splitlines():
            validator.validate(json.loads(record))
            seen += 1
    assert seen >= 7, "an example of each kind"
    assert not validator.is_valid({"type": "state"})


def test_asyncapi_names_every_topic_and_only_schemas_that_are_there() -> None:
    document = asyncapi()
    # What feeders tell each other is no interface.
    told = {topic.name for topic in desired(Settings())} - {"twin.fed"}
    assert {c["address"] for c in document["channels"].values()} == told
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
    named = [part.partition('"')[0] for part in json.dumps(document).split('"./')[1:]]
    assert sorted(named) == sorted(set(documents()) - {"asyncapi.json"})
    assert asyncapi(Settings(prefix="north"))["channels"]["kpis"]["address"] == "north.kpis"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["properties"].pop("oee"), "properties/oee is gone"),
        (lambda d: d["properties"]["good"].update(type="string"), "properties/good: type was 'integer'"),
        (lambda d: d["properties"]["oee"].update(type="number"), "properties/oee: type was"),
        (lambda d: d["properties"]["end"].update(pattern="x"), "properties/end: pattern was"),
        (lambda d: d["required"].append("production_date"), "newly required: production_date"),
        (lambda d: d["properties"].update(more={"type": "integer"}), None),
        (lambda d: d["required"].remove("good"), None),
        (lambda d: d.update(description="other words"), None),
    ],
)
def test_what_breaks_a_reader_is_told(change: Any, told: str | None) -> None:
    changed = copy.deepcopy(results()["kpis"])
    change(changed)
    found = breaking(results()["kpis"], changed)
    assert found == [] if told is None else told in found[0]


def test_what_breaks_a_document_or_a_producer_is_told() -> None:
    document, event = asyncapi(), documents()["event.schema.json"]
    for change, told in (
        (lambda d: d["channels"].pop("kpis"), "channels/kpis is gone"),
        (lambda d: d["channels"]["kpis"].update(address="x"), "channels/kpis: address was 'twin.kpis'"),
        (lambda d: d["channels"]["kpis"]["messages"].pop("bottlenecks"), "messages/bottlenecks is gone"),
    ):
        changed = copy.deepcopy(document)
        change(changed)
        assert told in breaking(document, changed)[0]
    changed = copy.deepcopy(event)
    changed["$defs"]["AnyEvent"]["anyOf"].pop()
    changed["$defs"]["State"]["required"].append("reason")
    assert len(breaking(event, changed)) == 2
    assert breaking(event, event) == []


async def test_the_worker_serves_them() -> None:
    pages = schema_pages()
    names = json.loads((await pages["/schemas"]())[1])
    assert names == sorted(documents())
    assert (await pages["/schemas/kpis.schema.json"]())[1] == (FOLDER / "kpis.schema.json").read_bytes()


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--write", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(documents())
    capsys.readouterr()
    assert main(["schema", "--results"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == results().keys()
    assert main(["schema", "--asyncapi"]) == 0
    assert json.loads(capsys.readouterr().out)["asyncapi"] == "3.0.0"
