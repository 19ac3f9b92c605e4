"""What a replay was of, and which of its shares are done: so that an unfinished root is never taken for a whole one.

    ROOT/_replay/plan.json          JSON: logs with their hashes, shares, sets, plant model; the same of every share
    ROOT/_replay/share-00000.json   JSON: a share is done: the end of its chain, and its report

The plan is there before anything else is, and each file's footer holds its SHA-256 (`taktwin.replay`): it is part of
the chain. A share writes the partition of its number, and the same bytes each time, so one that was killed is run
again and compares with what it finds. Shares in folders of their own are one root when these are copied together.
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from twin import rules
from twin.audit import AuditError, durable, layout
from twin.audit.report import Report
from twin.plant.model import Plant
from twin.replay_report import ReplayReport
from twin.results import SETS
from twin.time import zone
from twin.version import code_version

PLAN: Final = f"{layout.REPLAY}/plan.json"
FORMAT: Final = 1


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log, or a file of events of an audit root; these by their path in it."""

    name: str
    bytes: int
    sha256: str


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """JSON by msgspec."""

    format: int
    model: str
    rules: int
    zone_rules: str
    code_version: str
    shares: int = 1
    partitioner: str = ""
    sets: tuple[str, ...] = tuple(SETS)
    logs: tuple[Named, ...] = ()
    audited: bool = False  # the logs are events of an audit root
    mapping: str = ""  # SHA-256 of the mappings' files; empty: there is none

    @property
    def data(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON by msgspec."""

    format: int
    plan: str  # SHA-256 of the plan
    share: int
    next_offset: int  # where its chain ends
    chain: str  # SHA-256 of its last file; empty: it has none
    logs: tuple[str, ...]  # where it has read them
    report: ReplayReport

    @property
    def name(self) -> str:
        """Relative to the root."""
        return layout.share_name(self.share)


# Made here, not at the first use: two threads that make msgspec learn a type at the same time end the process.
_PLAN: Final = msgspec.json.Decoder(Plan)
_DONE: Final = msgspec.json.Decoder(Done)


def plan_of(
    plant: Plant,
    *,
    shares: int = 1,
    partitioner: str = "",
    sets: Sequence[str] = (),
    logs: Sequence[Named] = (),
    audited: bool = False,
    mapping: str = "",
) -> Plan:
    """`sets`: none named are all."""
    wanted = tuple(name for name in SETS if name in sets or not sets)
    named = partitioner if shares > 1 else ""
    made = (plant.hash, rules.RULES, zone.RULES, code_version())
    return Plan(FORMAT, *made, shares, named, wanted, tuple(logs), audited, mapping)


def read(root: Path) -> Plan | None:
    """None: no replay of this version, or a worker's root. Raises AuditError."""
    path = root / PLAN
    try:
        found = _PLAN.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise AuditError(f"{path}: cannot be read ({error}); restore it from a copy, or replay again") from error
    if found.format != FORMAT:
        raise AuditError(f"{path}: of format {found.format}, this version reads {FORMAT}; use the one that wrote it")
    return found


def done(root: Path) -> list[Done]:
    """The shares that are done, by number. Raises AuditError."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(root / layout.REPLAY)):  # noqa: PTH208  names are all that is asked for
            share = layout.share_of(name)
            if share is not None:
                path = root / layout.REPLAY / name
                try:
                    one = _DONE.decode(path.read_bytes())
                except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
                    what = f"{path}: cannot be read ({error}); remove it and run that share again"
                    raise AuditError(what) from error
                if one.format != FORMAT or one.share != share:
                    raise AuditError(f"{path}: is of another share or version; remove it and run that share again")
                found.append(one)
    return found


def begin(root: Path, plan: Plan, share: int) -> None:
    """Make the root that of this plan, or find that it is. Of several shares that begin at once one is first.

    Raises AuditError: it is another's; OSError.
    """
    found = read(root)
    if found is None:
        _begin(root, plan, share)
        found = read(root)
    if found is None or found != plan:
        what = " and ".join(_differing(found, plan)) if found is not None else "its plan"
        raise AuditError(
            f"{root}: is of a replay that differs in {what}: give each replay a folder of its own, or remove an "
            "earlier one with --force (all of its shares)"
        )


def _differing(found: Plan, plan: Plan) -> list[str]:
    words = {"model": "the plant", "mapping": "the mappings", "shares": "the number of shares", "logs": "the logs"}
    names = [name for name in Plan.__struct_fields__ if getattr(found, name) != getattr(plan, name)]
    return [words.get(name, name.replace("_", " ")) for name in names]


def _begin(root: Path, plan: Plan, share: int) -> None:
    durable.make_folder(root / layout.REPLAY)
    # By share, too: in containers all processes have the same number.
    staged = root / layout.REPLAY / f".plan-{share:05d}-{os.getpid()}.tmp"
    durable.create(root / PLAN, plan.data, staged)


def finish(root: Path, record: Done) -> None:
    """Say that a share is done. Raises OSError."""
    staged = root / layout.REPLAY / f".share-{record.share:05d}-{os.getpid()}.tmp"
    staged.unlink(missing_ok=True)
    durable.write(staged, msgspec.json.format(msgspec.json.encode(record), indent=1))
    staged.replace(root / record.name)
    durable.sync_folder(root / layout.REPLAY)


def remove(root: Path, *, plan: bool) -> None:
    """Take away the records of shares that are done, or the plan as well: the one first, the other last."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(root / layout.REPLAY):  # noqa: PTH208  names are all that is asked for
            if plan or layout.share_of(name) is not None:
                (root / layout.REPLAY / name).unlink(missing_ok=True)
        if plan:
            (root / layout.REPLAY).rmdir()


def missing(root: Path) -> list[int]:
    """Numbers of the shares that are not done; none where the root is no replay. Raises AuditError."""
    plan = read(root)
    if plan is None:
        return []
    there = {one.share for one in done(root)}
    return [number for number in range(plan.shares) if number not in there]


def words(root: Path) -> list[str]:
    """What who reads this root must know: that rows are missing. Raises AuditError."""
    plan = read(root)
    if plan is None:
        return []
    told = []
    if left := missing(root):
        told.append(f"{root}: {_unfinished(plan, left)}")
    if without := [name for name in SETS if name not in plan.sets]:
        told.append(f"{root}: was replayed with --sets {','.join(plan.sets)}: it has no rows of {', '.join(without)}")
    return told


def _unfinished(plan: Plan, left: Sequence[int]) -> str:
    if plan.shares == 1:
        return "its replay is not finished, so rows are missing; run it again"
    names = ", ".join(f"{number}/{plan.shares}" for number in left)
    return f"shares {names} of its replay are not finished, so rows of their lines are missing; run them again"


def check_events(root: Path) -> None:
    """Raise AuditError where no row can be computed from what the root holds."""
    plan = read(root)
    if plan is None or "events" in plan.sets:
        return
    where = ", ".join(sorted({log for one in done(root) for log in one.logs})) or "its logs"
    raise AuditError(
        f"{root}: was replayed with --sets {','.join(plan.sets)} and holds no events, so nothing can be computed from "
        f"it alone. {root / PLAN} names them ({len(plan.logs)} files with their SHA-256, read from {where}): replay "
        "these again into a new folder with the same --sets, and compare with `twin audit digest`"
    )


def check(root: Path, footers: Mapping[str, str], report: Report) -> None:
    """`footers`: of each file what it says of its plan; empty: nothing, as a worker's or an older version's."""
    try:
        plan, records = read(root), done(root)
    except AuditError as error:
        report.differs(PLAN, str(error).removeprefix(f"{root}/"))
        return
    said = {name: one for name, one in footers.items() if one}
    if plan is None:
        if said:
            report.differs(PLAN, f"is missing: {min(said)} is of a replay, of which nobody knows whether it is whole")
        return
    report.checked["replay plans"] += 1
    for name, one in sorted(footers.items()):
        if one != plan.sha256:
            report.differs(name, f"is of another replay than {PLAN} says: it was changed, or two roots are mixed")
    for record in records:
        report.checked["replay shares"] += 1
        if record.plan != plan.sha256:
            report.differs(record.name, f"is of another replay than {PLAN} says")
    if left := [number for number in range(plan.shares) if number not in {one.share for one in records}]:
        report.differs(layout.share_name(left[0]), f"is not there: {_unfinished(plan, left)}")
    if len(plan.sets) < len(SETS):
        report.notes.append(f"replayed with --sets {','.join(plan.sets)}: what of it is here can be checked")
    if "events" not in plan.sets:
        what = "events of an audit root" if plan.audited else "logs"
        report.notes.append(
            f"it holds no events: {PLAN} names the {len(plan.logs)} files they were read from ({what}, each with its "
            "SHA-256). That its rows follow from them cannot be shown here: replay them again and compare the digests"
        )
