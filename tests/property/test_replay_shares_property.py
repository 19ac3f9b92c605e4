"""However a log is dealt out to shares, in whatever order they run and are killed: rows and report of one replay."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import twin.replay
from streams.kafka.partitioner import choose
from tests.random_logs import ended, late, logs, small_plant
from tests.support.fold import Ev, block
from twin.audit import layout, replayed
from twin.audit.digest import digest
from twin.audit.replayed import Done, Plan, plan_of
from twin.audit.verify import verify
from twin.audit.writer import AuditWriter, Manifest
from twin.events.block import Rejected
from twin.plant.canonical import model_hash
from twin.plant.model import Plant
from twin.replay import replay
from twin.replay_report import ReplayReport, together
from twin.results import SETS
from twin.sources import Logs, Share, open_logs
from twin.sources.source import Batch
from twin.sources.summary import Summary

_CHOOSE = partial(choose, "murmur2")
_OFFSET = re.compile(r"first at offset \d+( of partition \d+)?")


class KilledError(Exception):
    """Stands for a process that is gone: nothing that it was about to do is done."""


class Events:
    """A log in memory, with inputs that are no events: of a line, of an unknown one, of none."""

    name = "made"
    closes = True
    named = True
    position = size = 0

    def __init__(self, events: list[Ev], numbered: bool, killed_at: int) -> None:
        self.summary = Summary()
        self.numbered = numbered
        self._events = events
        self._killed_at = killed_at

    def __iter__(self) -> Iterator[Batch]:
        for k, begin in enumerate(range(0, max(len(self._events), 1), 7)):
            if k == self._killed_at:
                raise KilledError
            some = block(self._events[begin : begin + 7])
            line = ("L", "M", "nowhere", None)[k % 4]
            self.summary.rows += len(some) + 1
            self.summary.told += len(some)
            self.summary.unusable += 1
            self.summary.count_events(some)
            self.summary.reject("not_json", f"made:{k}")
            yield some, [Rejected("not_json", "no", k, b"{%d" % k, line, None)]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Plant, list[list[Ev]]]:
    """A plant of several lines, and one log of them or two."""
    links, revise_ns = draw(st.booleans()), draw(st.sampled_from((None, 30_000_000_000)))
    lines = draw(st.integers(2, 3))
    plant = small_plant(links, draw(st.booleans()), draw(st.booleans()), lines, revise_ns)
    named = replace(plant, hash=model_hash(plant))
    some = [draw(logs(links, cycles=True, lines=lines, size=24)) for _ in range(draw(st.integers(1, 2)))]
    return named, [ended(draw(late(one, corrections=False))) for one in some]


def read(plant: Plant, events: list[list[Ev]], numbered: bool, share: Share | None = None, killed_at: int = -1) -> Logs:
    return Logs([Events(one, numbered, killed_at) for one in events], plant, share=share)


def plain(report: ReplayReport) -> dict[str, Any]:
    """Without what may differ: the seconds, and the numbers of offsets, which are the share's own."""
    found = asdict(report)
    for name in ("seconds", "shared"):
        del found[name]
    found["doubts"] = [_OFFSET.sub("", doubt) for doubt in report.doubts]
    found["summary"] = report.summary.as_dict()
    return found


def killed(patch: pytest.MonkeyPatch, step: str) -> None:
    """The next process dies before this step."""

    def dies(*_: object, **__: object) -> None:
        raise KilledError

    if step == "publish":
        patch.setattr(AuditWriter, "publish", dies)
    elif step == "half":
        whole = AuditWriter.publish

        def half(self: AuditWriter, *manifests: Manifest) -> None:
            whole(self, *(replace_files(one) for one in manifests))
            raise KilledError

        patch.setattr(AuditWriter, "publish", half)
    elif step == "finish":
        patch.setattr(replayed, "finish", dies)


def replace_files(manifest: Manifest) -> Manifest:
    """None of its files is renamed, but all are staged."""
    return msgspec.structs.replace(manifest, files=manifest.files[:0])


def run(
    plant: Plant, root: Path, plan: Plan, share: Share, given_logs: Logs, patch: pytest.MonkeyPatch, step: str
) -> ReplayReport | None:
    with patch.context() as mine:
        killed(mine, step)
        try:
            return replay(plant, given_logs, root, plan=plan, share=share.number)
        except KilledError:
            return None


@settings(max_examples=20, suppress_health_check=[HealthCheck.large_base_example])
@given(
    worlds(),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from((7, 10**6)),
    st.integers(0, 10**6),
)
def test_shares_give_what_one_replay_gives(
    world: tuple[Plant, list[list[Ev]]], of: int, numbered: bool, rows: int, seed: int
) -> None:
    plant, events = world
    random = Random(seed)  # noqa: S311  a test's own
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(twin.replay, "INTERVAL_ROWS", rows)
        patch.setattr(twin.replay, "DAY_ROWS", 1)
        folder = Path(name)
        one = replay(plant, read(plant, events, numbered), folder / "one")
        plan = plan_of(plant, shares=of, partitioner="murmur2")
        shares = [Share(number, of, _CHOOSE) for number in range(of)]
        random.shuffle(shares)
        for share in shares:
            whole = None
            while whole is None:  # a kill that is meant for what a share never does leaves it done
                step = random.choice(("read", "publish", "half", "finish", "", ""))
                at = random.randrange(4) if step == "read" else -1
                whole = run(plant, folder / "many", plan, share, read(plant, events, numbered, share, at), patch, step)
            left = replayed.missing(folder / "many")
            assert bool(left) == (share is not shares[-1])
            if left:
                assert not verify(folder / "many").sound
        assert digest(folder / "many") == digest(folder / "one")
        assert verify(folder / "many", every=True).differences == []
        records = replayed.done(folder / "many")
        assert plain(together(plant, [done.report for done in records])) == plain(one)
        assert sorted(record.share for record in records) == list(range(of))
        again_from_events(plant, folder, plan)
        some_sets(plant, folder, read(plant, events, numbered), one, random)


def again_from_events(plant: Plant, folder: Path, plan: Plan) -> None:
    """What is audited, as the log: other lines are left out before they are decoded. In folders of their own."""
    one = replay(plant, open_logs([folder / "many"], plant, rules=()), folder / "again")
    found = []
    for number in range(plan.shares):
        share = Share(number, plan.shares, _CHOOSE) if plan.shares > 1 else None
        source = open_logs([folder / "many"], plant, rules=(), share=share)
        found.append(replay(plant, source, folder / f"apart-{number}", plan=plan, share=number))
    assert plain(together(plant, found)) == plain(one)
    for number in range(1, plan.shares):
        copied(folder / f"apart-{number}", folder / "apart-0")
    assert digest(folder / "apart-0") == digest(folder / "again")
    assert verify(folder / "apart-0", every=True).differences == []


def some_sets(plant: Plant, folder: Path, logs: Logs, one: ReplayReport, random: Any) -> None:
    """Rows of a set do not depend on which others are asked for, and neither does what casts doubt on them."""
    sets = sorted({"kpis", *random.sample(sorted(SETS), random.randrange(3))})
    report = replay(plant, logs, folder / "some", plan=plan_of(plant, sets=sets))
    whole, some = digest(folder / "one"), digest(folder / "some")
    assert {name: some[name] for name in sets} == {name: whole[name] for name in sets}
    assert sum(some[name].rows for name in SETS if name not in sets) == 0
    assert plain(report) | {"rows": {}} == plain(one) | {"rows": {}}


def copied(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())


def test_a_record_keeps_what_a_report_says() -> None:
    report = ReplayReport(events=3, doubts=["L: no"], doubtful=["L"], refused={"late": 1})
    report.summary.reject("late", "log:3")
    record = Done(1, "x", 0, 3, "", ("log",), report)
    assert msgspec.json.decode(msgspec.json.encode(record), type=Done) == record
    assert layout.MARKER not in record.name
