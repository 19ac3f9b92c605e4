"""The plant file is replaced under workers that are started anew one by one; one more worker has a wrong file."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from streams import exits
from streams.settings import Settings
from tests.faults.inputs import LINES, Input
from tests.faults.site import Crew
from twin.audit import models
from twin.audit.intervals import contents, listed
from twin.audit.read import keys_of, open_set
from twin.plant import load
from twin.results import ORIGIN, SETS

KIND = "plant-changed"
# The last is no more, the one before has a station more, the one before that a product; the others are what they were.
SAME = [f"line-{k}" for k in range(LINES - 3)]
OTHERS = [f"line-{k}" for k in range(LINES - 3, LINES)]
_LIMIT_S = 90.0


def own_plant(given: Input, folder: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copy(given.plant, folder / "plant.toml"))


def other(text: str, product: str = "new") -> str:
    """The next revision of a generated plant."""
    begins = [text.index(f'[[line]]\nid = "line-{k}"') for k in (LINES - 2, LINES - 1)]
    return (
        "revision = 1\n"
        + text[: begins[0]]
        + f'[[line.product]]\nid = "{product}"\nideal_cycle = "10s"\n'
        + text[begins[0] : begins[1]]
        + '[[line.station]]\nid = "added"\nideal_cycle = "20s"\n'
    )


async def change(settings: Settings, crew: Crew, *, kill: bool) -> bool:
    """Put another file in the place of the plant's, start all workers anew, then one with a third file. True when each
    worker has taken the new one, and the last has ended with 73."""
    # On a busy machine the log may be fed before a worker is there: then there is nothing that could change. Nor is
    # there of lines of which nothing is committed.
    audit = Path(settings.audit)

    def begun() -> bool:
        return crew.all_held() and bool(listed(audit)) and len(contents(audit).partitions) == settings.partitions

    if not await crew.until(begun, _LIMIT_S):
        return False
    wrong = _replace(Path(settings.plant))
    for slot in [slot for slot in crew.slots if slot.wanted]:
        if not await crew.started_anew(slot, kill=kill, limit_s=_LIMIT_S):
            return False
    stranger = crew.add(plant=wrong)
    await crew.until(lambda: stranger.ends, _LIMIT_S)
    stranger.wanted = False
    if stranger.exits[:1] != [exits.STATE]:
        raise RuntimeError(f"the worker with another file of the same revision ended with {stranger.exits}")
    return True


def _replace(file: Path) -> Path:
    """Put the next revision there; returns another file of that revision."""
    text = file.read_text()
    temporary, wrong = file.with_suffix(".tmp"), file.with_name("wrong.toml")
    wrong.write_text(other(text, product="another"))
    temporary.write_text(other(text))
    temporary.replace(file)
    return wrong


def seen(settings: Settings) -> bool:
    """Whether anything was made under another plant than the first."""
    held = contents(Path(settings.audit))
    return len({keys_of(one)["model"] for n in held.partitions for one in held.of(n) if one.files or one.rows}) > 1


def problems(settings: Settings, given: Input) -> list[str]:
    """What of the lines that did not change is another than in a run in which nothing did."""
    root = Path(settings.audit)
    found = []
    for name in SETS:
        was, now = _rows(given.plant.parent / "audit", name), _rows(root, name)
        if was != now:
            found.append(
                f"{name} of lines that did not change: {(now - was).total()} rows more, {(was - now).total()} less"
            )
    models.load(root, load(settings.plant).hash)
    told = open_set(root, "alerts").to_table(columns=["kind", "line"])
    changed = set(told.filter(pc.equal(told.column("kind"), "plant_changed")).column("line").to_pylist())
    if not changed or changed & set(SAME):
        found.append(f"that the plant changed is told of {sorted(changed)}")
    return found


def _rows(root: Path, name: str) -> Counter[tuple[Any, ...]]:
    """Of the lines that did not change, without where they came from and the hash of the whole plant."""
    columns = [column for column in SETS[name].names if column not in (*ORIGIN, "model", "detail")]
    table = open_set(root, name).to_table(columns=columns)
    table = table.filter(pc.is_in(table.column("line").cast("string"), value_set=pa.array(SAME, pa.string())))
    # Python's times have no nanoseconds.
    plain = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    return Counter(zip(*(map(str, column.to_pylist()) for column in plain), strict=True))
