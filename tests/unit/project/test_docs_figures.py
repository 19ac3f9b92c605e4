"""docs/figures.md: its examples run as they stand, its table names every module."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/figures.md").read_text(encoding="utf-8")
HELPERS = {"__init__", "exact", "linear", "special", "tables"}


def test_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert len(blocks) >= 6
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/figures.md", "exec"), names)  # noqa: S102 the page is ours


def test_every_module_is_named() -> None:
    table = TEXT[TEXT.index("## What there is") : TEXT.index("## Worked examples")]
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert named == {path.stem for path in (ROOT / "twin/figures").glob("*.py")} - HELPERS
