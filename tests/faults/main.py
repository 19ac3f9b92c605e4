"""Seeded fault plans against real workers and a real Kafka.

    python -m tests.faults.main --count 200 [--first 0]        make faults
    python -m tests.faults.main --seed 17                      the plan of one seed again

Prints two lines of JSON per plan. One fails when rows, proofs or topics differ, when a process ended in a way that the
plan does not explain, or when nothing of the plan happened; the exit
code is 1 when one failed. The files of a failed plan stay in --folder.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from streams.local.broker import LocalBroker
from tests.faults.harness import Outcome, run
from tests.faults.inputs import Inputs
from tests.faults.plan import OUTSIDE, Plan, draw
from tests.faults.site import Brokers
from tests.support.cluster import LocalCluster


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first plan")
    parser.add_argument("--seed", type=int, help="only the plan of this seed")
    parser.add_argument("--plan", type=Path, help="only the plan in this file (JSON)")
    parser.add_argument("--brokers", type=int, choices=(1, 3), help="only on this many brokers")
    parser.add_argument("--kind", choices=OUTSIDE[1], help="the fault from outside, in every plan")
    parser.add_argument("--folder", type=Path, help="where to work; default a temporary folder")
    asked = parser.parse_args()
    if asked.plan is not None:
        plans = [msgspec.json.decode(asked.plan.read_bytes(), type=Plan)]
    elif asked.seed is not None:
        plans = [draw(asked.seed, brokers=asked.brokers, kind=asked.kind)]
    else:
        seeds = range(asked.first, asked.first + asked.count)
        plans = [draw(seed, brokers=asked.brokers, kind=asked.kind) for seed in seeds]
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="taktwin-faults-"))
    return asyncio.run(all_of(plans, folder))


async def all_of(plans: list[Plan], folder: Path) -> int:
    """Those for one broker first, then those for the cluster."""
    inputs = Inputs(folder / "inputs")
    failed: list[Outcome] = []
    for brokers in (1, 3):
        mine = [plan for plan in plans if plan.brokers == brokers]
        if not mine:
            continue
        kafka = LocalBroker(folder / "kafka") if brokers == 1 else LocalCluster(folder / "cluster")
        with kafka:
            site = Brokers(kafka)
            for plan in mine:
                print(msgspec.json.encode(plan).decode(), flush=True)  # noqa: T201  the command's output
                work = folder / f"plan-{plan.seed}"
                outcome = await run(plan, site, inputs.get(plan.log), work)
                print(msgspec.json.encode(outcome).decode(), flush=True)  # noqa: T201  as above
                if outcome.problem:
                    failed.append(outcome)
                else:
                    shutil.rmtree(work)
    seeds = [outcome.seed for outcome in failed]
    print(f"{len(plans) - len(failed)} of {len(plans)} plans equal; failed seeds: {seeds}")  # noqa: T201  as above
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
