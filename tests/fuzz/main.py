"""Fuzzing for some time: `make fuzz` (SECONDS, SEED).

    python -m tests.fuzz.main --seconds 600 [--seed 1]

Prints inputs per second, what became of them and the memory. An input that breaks a promise is kept in the folder it
names (so is the last one before a crash), and the exit code is then 1.
"""

import argparse
import faulthandler
import mmap
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.compiled import compile_for
from tests.fuzz.mutate import MOST_BYTES
from tests.fuzz.targets import targets
from tests.fuzz.worlds import worlds

MOST_GROWTH_BYTES = 250 << 20  # after a warm-up, in which kernels are compiled and caches fill
MOST_INPUT_S = 10.0
MOST_BREACHES = 20


class Last:
    """The newest input, in a file that outlives the process: 8 bytes of length, then the bytes."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(MOST_BYTES + 8))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.value = b""

    def __call__(self, value: bytes) -> None:
        self.value = value[:MOST_BYTES]
        self._map[:8] = len(self.value).to_bytes(8, "little")
        self._map[8 : 8 + len(self.value)] = self.value


@dataclass
class Report:
    found: dict[str, Counter[str]] = field(default_factory=dict)
    breaches: dict[tuple[str, str], str] = field(default_factory=dict)  # (target, place) -> what
    inputs: int = 0
    seconds: float = 0.0
    warm_bytes: int = 0
    end_bytes: int = 0


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def fuzz(seconds: float, seed: int, folder: Path, inputs: int = sys.maxsize) -> Report:
    """Feed every target by its share, for so long or until there were so many inputs. A breach of one kind is noted
    once."""
    chance = random.Random(seed)  # noqa: S311  repeatable
    last, report = Last(folder / "last-input"), Report()
    weighted = targets(chance, folder)
    shares = [share for share, _ in weighted]
    compile_for(worlds()[0].plant)  # on a fresh machine it takes longer than a short share of the fuzzing
    begun = time.monotonic()
    while (now := time.monotonic()) - begun < seconds and len(report.breaches) < MOST_BREACHES:
        if report.inputs >= inputs:
            break
        target = chance.choices(weighted, shares)[0][1]
        try:
            report.found.setdefault(target.name, Counter()).update(target(last))
            # The first inputs compile kernels.
            if (took_s := time.monotonic() - now) > MOST_INPUT_S and report.inputs > 1000:
                raise AssertionError(f"one input took {took_s:.1f} s")
            report.inputs += 1
            _watch_memory(report, now - begun > min(60.0, seconds / 3) or report.inputs >= inputs / 3)
        except Exception as error:
            place = "/".join(traceback.format_tb(error.__traceback__)[-1].split("\n")[0].split("/")[-2:])
            key = target.name, f"{type(error).__name__} {place}"
            if key not in report.breaches:
                (folder / f"breach-{len(report.breaches)}").write_bytes(last.value)
                report.breaches[key] = "".join(traceback.format_exception(error)[-6:])
    report.seconds, report.end_bytes = time.monotonic() - begun, resident_bytes()
    if report.end_bytes > report.warm_bytes + MOST_GROWTH_BYTES:
        grown = f"memory grew from {report.warm_bytes >> 20} to {report.end_bytes >> 20} MB"
        report.breaches.setdefault(("memory", "at the end"), grown)
    return report


def _watch_memory(report: Report, warm: bool) -> None:
    if warm and not report.warm_bytes:
        report.warm_bytes = resident_bytes()
    if report.warm_bytes and report.inputs % 1000 == 0:
        now = resident_bytes()
        if now > report.warm_bytes + MOST_GROWTH_BYTES:
            raise AssertionError(f"memory grew from {report.warm_bytes >> 20} to {now >> 20} MB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    faulthandler.enable()
    folder = Path(tempfile.mkdtemp(prefix="taktwin-fuzz-"))
    say = sys.stdout.write
    say(f"seed {arguments.seed}; the last input and what breaks a promise are kept in {folder}\n")
    sys.stdout.flush()
    report = fuzz(arguments.seconds, arguments.seed, folder)
    for name, outcomes in sorted(report.found.items()):
        say(f"{name}: " + ", ".join(f"{number:,} {what}" for what, number in outcomes.most_common()) + "\n")
    say(f"{report.inputs:,} inputs, {report.inputs / report.seconds:,.0f} per second; ")
    say(f"resident {report.warm_bytes >> 20} MB when warm, {report.end_bytes >> 20} MB at the end\n")
    for number, ((name, _), what) in enumerate(report.breaches.items()):
        say(f"\nbreach-{number}, {name}:\n{what}")
    return 1 if report.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
