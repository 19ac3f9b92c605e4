"""Later versions of the code, for the faults: each knows one more rule, which changes nothing, and names itself. All
have short days.

What a real later version has more (columns, arrays) is tested by files of earlier ones (tests/data).
"""

from pathlib import Path
from typing import Final

from twin import rules, version

# Bases are daily, and the logs are some hours: a hundredth of a day, so that there are many.
SHORT_DAY_NS: Final = 864_000_000_000
_FILE = "version"
_TODAY = rules.HISTORY


def of(folder: Path) -> int:
    """How often the workers of this folder were upgraded."""
    file = folder / _FILE
    return int(file.read_text()) if file.exists() else 0


def set_of(folder: Path, number: int) -> None:
    temporary = folder / f"{_FILE}.tmp"
    temporary.write_text(str(number))
    temporary.replace(folder / _FILE)


def become(number: int) -> None:
    """Let this process be of that version. A worker does so before anything reads the version of the rules."""
    later = tuple(rules.Rule(f"later_{k}", (), "nothing: a test") for k in range(number))
    rules.HISTORY = _TODAY + later  # type: ignore[misc]  # a test's own version
    rules.RULES = len(rules.HISTORY)  # type: ignore[misc]  # as above
    if number:
        version.code_version = lambda: f"later.{number}"  # type: ignore[assignment]  # as above
    from twin.audit import bases  # not before: it reads the version of the rules

    bases.DAY_NS = SHORT_DAY_NS
