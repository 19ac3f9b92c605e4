"""The plant model in the audit root: it loads back to the same plant, or says why not."""

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.audit import flip
from tests.support.generated import plant_text
from twin.audit import AuditError, layout, models
from twin.plant import load, loads
from twin.plant.canonical import canonical_text, model_hash
from twin.plant.model import Calendar, Counter, Limits, Line, PlannedStop, Plant, Product, Shift, Station, Window

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").rglob("plant.toml"))
# Every field away from its default, and every optional one absent once.
FULL = Plant(
    site="Süd",
    lines=(
        Line(
            "L1",
            "a",
            "assembly",
            (
                Station(
                    "S1",
                    20_000_000_000,
                    ("b1", "b2"),
                    "b3",
                    (Counter("c", "scrap", 3, 65_536), Counter("d", "good")),
                    {"RUN": 4, "": 9},
                    "cycle",
                    1,
                    2,
                ),
                Station("S2"),
            ),
            products=(Product("p", {"*": 5, "S1": 6}), Product("")),
            calendar=Calendar(
                "Europe/Berlin",
                (Shift("early", (0, 1, 4), 0, 21_600),),
                (
                    PlannedStop("w", weekly=(1, 2)),
                    PlannedStop("d", dated=("2026-01-01T00:00:00", "2026-01-02T00:00:00")),
                ),
                3_600,
            ),
            policy="tpm",
            windows=(Window("1h", 3_600, 60),),
            revise_ns=7,
            constraint="S2",
            requires_order=True,
            limits=Limits(None, 0.1 + 0.2, "1h"),
        ),
        Line("L2", "", "cell", ()),
    ),
    hash="",
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_comes_back(path: Path, tmp_path: Path) -> None:
    plant = load(path)
    models.store(tmp_path, plant)
    assert models.load(tmp_path, plant.hash) == replace(plant, source="")


def test_every_field_comes_back(tmp_path: Path) -> None:
    plant = replace(FULL, hash=model_hash(FULL))
    models.store(tmp_path, plant)
    again = models.load(tmp_path, plant.hash)
    assert again == plant
    assert again.lines[0].limits.down_ns is None, "absent is not the default"
    assert models.stored(tmp_path) == [plant.hash]


def test_the_name_is_the_hash_of_the_bytes(tmp_path: Path) -> None:
    plant = loads(plant_text(2, 2), "p.toml")
    models.store(tmp_path, plant)
    data = (tmp_path / layout.model_name(plant.hash)).read_bytes()
    assert hashlib.sha256(data).hexdigest().startswith(plant.hash)
    assert [path.name for path in (tmp_path / "_models").iterdir()] == [f"{plant.hash}.json"]


def test_several_workers_store_at_once(tmp_path: Path) -> None:
    plant = loads(plant_text(20, 5), "p.toml")
    failed = []

    def store() -> None:
        try:
            models.store(tmp_path, plant)
        except AuditError as error:
            failed.append(error)

    threads = [threading.Thread(target=store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(list((tmp_path / "_models").iterdir())) == 1


def test_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    plant = load(EXAMPLES[0])
    models.store(tmp_path, plant)
    folder = tmp_path / layout.MODELS
    left, other = folder / f".{plant.hash}.77-1.tmp", folder / ".0123456789abcdef.77-1.tmp"
    for path in (left, other):
        path.write_bytes(b"half")
    models.store(tmp_path, plant)
    assert not left.exists()
    assert other.exists()  # of another model, perhaps being written


def test_a_hash_that_is_not_the_models(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="is not its model's"):
        models.store(tmp_path, replace(FULL, hash="0" * 16))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_missing_model(tmp_path: Path) -> None:
    plant = loads(plant_text(2, 2), "p.toml")
    with pytest.raises(AuditError, match="the plant model is missing"):
        models.load(tmp_path, plant.hash)
    models.store(tmp_path, plant)
    path = tmp_path / layout.model_name(plant.hash)
    for position in range(0, path.stat().st_size, 50):
        flip(path, position)
        with pytest.raises(AuditError, match="the model was changed"):
            models.load(tmp_path, plant.hash)
        with pytest.raises(AuditError, match="the model was changed"):
            models.store(tmp_path, plant)  # nothing is mended in silence
        flip(path, position)
    models.store(tmp_path, plant)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "0" * 15, "0" * 16 + "\n", "ABCDEF0123456789"])
def test_a_name_cannot_lead_out_of_the_root(tmp_path: Path, digest: str) -> None:
    with pytest.raises(AuditError, match="is not the hash of a plant model"):
        models.load(tmp_path, digest)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"form":1,', '"form":2,', "means another model"),
        ('"site":', '"size":', "plant: unknown field size"),
        (',"pane_ns":600000000000', "", r"plant.lines\[0\].pane_ns: is missing"),
        ('"panes":12', '"panes":"12"', "Expected `int`"),
        ('"panes":12', '"panes": 12', "means another model"),
        ('{"form"', '["form"', "use the version"),
    ],
)
def test_a_model_of_another_version(tmp_path: Path, old: str, new: str, what: str) -> None:
    text = canonical_text(loads(plant_text(1, 1), "p.toml"))
    assert old in text
    data = text.replace(old, new, 1).encode()
    digest = hashlib.sha256(data).hexdigest()[:16]
    (tmp_path / "_models").mkdir()
    (tmp_path / layout.model_name(digest)).write_bytes(data)
    with pytest.raises(AuditError, match=what):
        models.load(tmp_path, digest)
