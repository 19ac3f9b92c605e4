"""A share of the fault plans (`make faults` runs them all), and deaths at every operation of the checkpoints."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.local.broker import LocalBroker
from tests.faults.harness import run
from tests.faults.inputs import Inputs
from tests.faults.plan import Fault, Plan, draw
from tests.faults.site import ROOT, Brokers
from tests.support.cluster import LocalCluster

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("inputs"), events=8_000)


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker that plans may kill."""
    with LocalBroker(tmp_path_factory.mktemp("hurt") / "kafka") as own:
        yield own


# Each has several faults in one go, so that two plans show as much as they can in half a minute.
SHORT = (
    Plan(
        seed=-1,
        workers=2,
        static=False,
        session_s=3.0,
        brokers=1,
        log=0,
        faults=(
            Fault("flip", 0, step="snapshot.fsync", nth=1),
            Fault("kill", 0, step="commit.after", nth=1),
            Fault("enospc", 1, step="stage.write", nth=20),
            Fault("stop", 1, fed=4_000, for_s=5.0),
        ),
    ),
    Plan(
        seed=-2,
        workers=2,
        static=True,
        session_s=4.0,
        brokers=1,
        log=1,
        faults=(
            Fault("kill", 0, step="publish.rename", nth=2),
            Fault("flip", 1, step="stage.fsync", nth=2),
            Fault("broker-kill", fed=5_000),
        ),
    ),
)


@pytest.mark.parametrize("plan", SHORT, ids=["slept-and-damaged", "killed-with-broker"])
async def test_short_plans(plan: Plan, hurt: LocalBroker, inputs: Inputs, tmp_path: Path) -> None:
    given = await asyncio.to_thread(inputs.get, plan.log)
    outcome = await run(plan, Brokers(hurt), given, tmp_path / "plan")
    assert outcome.problem == "", outcome
    # On a busy machine one worker may hold all partitions until the log is through.
    assert len(outcome.fired) >= 2, outcome


# A short share of the drawn ones, on packed logs, the first of lines that revise: a death and a file cut off in each.
@pytest.mark.parametrize("seed", [12, pytest.param(34, marks=pytest.mark.slow)])
async def test_drawn_plans(seed: int, hurt: LocalBroker, inputs: Inputs, tmp_path: Path) -> None:
    plan = draw(seed, brokers=1)
    given = await asyncio.to_thread(inputs.get, plan.log)
    outcome = await run(plan, Brokers(hurt), given, tmp_path / "plan")
    assert outcome.problem == "", outcome


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["root-gone", "topic-anew"])
async def test_a_root_that_comes_back_and_a_topic_that_does_not(
    kind: str, hurt: LocalBroker, inputs: Inputs, tmp_path: Path
) -> None:
    plan = draw(12, brokers=1, kind=kind)
    given = await asyncio.to_thread(inputs.get, plan.log)
    outcome = await run(plan, Brokers(hurt), given, tmp_path / "plan")
    assert outcome.problem == "", outcome
    assert kind in outcome.fired


@pytest.mark.slow
async def test_a_cluster_that_moves_its_leaders_and_loses_a_broker(inputs: Inputs, tmp_path: Path) -> None:
    faults = (
        Fault("leader", fed=1_500),
        Fault("broker-kill", 1, fed=4_000, for_s=3.0),
        Fault("kill", 0, step="commit.before", nth=4),
    )
    plan = Plan(-3, 2, False, 3.0, 3, 2, faults)
    given = await asyncio.to_thread(inputs.get, plan.log)
    cluster = LocalCluster(tmp_path / "cluster")
    try:
        await asyncio.to_thread(cluster.start)
        outcome = await run(plan, Brokers(cluster), given, tmp_path / "plan")
    finally:
        await asyncio.to_thread(cluster.stop)
    assert outcome.problem == "", outcome
    assert {"leader", "broker-kill"} <= set(outcome.fired), outcome


def steps(folder: Path, *options: str) -> dict[str, Any]:
    """In a process of its own: one that forks must not have threads."""
    done = subprocess.run(  # noqa: S603  own command
        [sys.executable, "-m", "tests.faults.steps", str(folder), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3_600,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return dict(json.loads(done.stdout))


def test_killed_at_operations_of_a_checkpoint(tmp_path: Path) -> None:
    found = steps(tmp_path / "steps", "--brief", "--checkpoints", "1", "--every", "3")
    assert found["died"] == found["hit"]
    places = {"stage.fsync", "snapshot.rename", "commit.before", "commit.after", "publish.rename"}
    assert places | {"model.rename", "note.rename"} <= set(found["steps"])


def test_killed_at_operations_while_rows_wait(tmp_path: Path) -> None:
    found = steps(tmp_path / "steps", "--brief", "--waits", "--checkpoints", "5", "--every", "3")
    assert found["died"] == found["hit"]
    assert {"waiting.rename", "publish.rename", "discard.unlink"} <= set(found["steps"])


@pytest.mark.slow
@pytest.mark.parametrize("what", ["kill", "enospc", "eio", "short", "cut", "flip"])
def test_every_fault_at_every_operation_while_rows_wait(tmp_path: Path, what: str) -> None:
    found = steps(tmp_path / "steps", "--brief", "--waits", "--checkpoints", "5", "--what", what)
    assert what == "flip" or all(step.startswith("note.") or step.endswith(".mkdir") for step in found["lived"])


@pytest.mark.slow
@pytest.mark.parametrize("what", ["kill", "enospc", "eio", "short", "cut", "flip"])
def test_every_fault_at_every_operation(tmp_path: Path, what: str) -> None:
    """Every one of the many writes of a file, too."""
    found = steps(tmp_path / "steps", "--what", what)
    # A bit that turns goes unnoticed where the file is replaced by the next one; without a note a start knows less; a
    # folder that is there (the note's is the snapshots') need not be made.
    assert what == "flip" or all(step.startswith("note.") or step == "snapshot.mkdir" for step in found["lived"])


@pytest.mark.slow
def test_killed_and_killed_again(tmp_path: Path) -> None:
    steps(tmp_path / "steps", "--brief", "--twice", "7")
