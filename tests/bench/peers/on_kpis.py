"""Key figures alone: `twin replay --sets kpis`, in one process and in shares, beside who computes nothing else.

The seconds of shares are those of the slowest: what starts a process is not counted, as it is not of the peers.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from streams.bench import inputs
from tests.bench.peers.on_parquet import KPIS, LINES, RATE_HZ, STATIONS, Stage, compare, program, rows_of, stage
from tests.bench.peers.peer import LIMIT_S, Group, Peer, PeerError
from twin.audit import replayed

ALONE: Final = "events Parquet to the set kpis (rows of lines included) in Parquet, chained and hashed, nothing else"


def replayed_in(name: str, jobs: int) -> Callable[[Stage], float]:
    def once(s: Stage) -> float:
        plant, root = s.folder / "plant.toml", s.folder / f"kpis-{next(s.count)}"
        plant.write_text(inputs.text(LINES, STATIONS))
        own = [sys.executable, "-P", "-m", "streams.cli", "replay", str(s.folder / "given"), "--plant", str(plant)]
        done = subprocess.run(  # noqa: S603  our own command
            [*own, "--audit", str(root), "--sets", "kpis", "--jobs", str(jobs)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        if done.returncode:
            raise PeerError(f"twin replay ended with {done.returncode}: {done.stderr}")
        seconds = max(one.report.seconds for one in replayed.done(root))
        compare(name, rows_of(root / "kpis"), s.rows)
        shutil.rmtree(root)
        return s.events / seconds

    return once


OWN: Final = "peers-kpis-jobs"
GROUP: Final = Group(
    "peers-kpis",
    f"events Parquet of {LINES * STATIONS} stations on {LINES} lines, {RATE_HZ:,} events a second of event time, "
    "windows 1 h and 1 min at every minute",
    (
        Peer(OWN, f"{ALONE}; --jobs 2", replayed_in(OWN, 2)),
        Peer("peers-kpis-one", f"{ALONE}; one process", replayed_in("peers-kpis-one", 1), OWN),
        Peer(
            "kpis-polars-memory", f"{KPIS}; in-memory engine", program("polars-memory", "polars_kpis.py", "memory"), OWN
        ),
        Peer(
            "kpis-polars-streaming",
            f"{KPIS}; streaming",
            program("polars-streaming", "polars_kpis.py", "streaming"),
            OWN,
        ),
    ),
    stage,
)
