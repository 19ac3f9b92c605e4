"""The register of alert kinds is the only place that names them."""

import ast
import re
from pathlib import Path

import pytest

from streams.cli.errors import CommandError
from streams.cli.parser import build
from twin.alert_kinds import KINDS, STATED
from twin.report.words import word
from twin.results import ALERTS

HOME = Path(__file__).parents[3]
# The others are words of the language or of the plant, too.
_OWN = frozenset(name for name in KINDS if "_" in name)


def test_no_module_spells_a_kind_itself() -> None:
    spelled = [
        f"{path.relative_to(HOME)}:{node.lineno}"
        for folder in ("kernels", "twin", "streams")
        for path in (HOME / folder).rglob("*.py")
        if path.name != "alert_kinds.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in _OWN
    ]
    assert not spelled, "take it from twin.alert_kinds"


def test_a_kind_says_what_it_is() -> None:
    assert set(STATED) <= set(ALERTS.names)
    for kind in KINDS.values():
        assert set(kind.at_times) <= set(kind.fields) <= set(STATED)
        assert "|" not in kind.means + kind.advice
        assert all(word(f"alert_{kind.name}", language) != f"alert_{kind.name}" for language in ("en", "de"))


def test_the_alert_rules_name_kinds() -> None:
    rules = (HOME / "deploy/observe/rules.yml").read_text()
    named = {kind for kinds in re.findall(r'kind=~?"([^"]+)"', rules) for kind in kinds.split("|")}
    assert named and named <= KINDS.keys()


def test_notify_refuses_a_kind_that_never_comes() -> None:
    args = build().parse_args(["notify", "--webhook", "https://chat.example/hook", "--kinds", "down,oee-low"])
    with pytest.raises(CommandError, match="no such kind of alert: oee-low; there are down, stale, oee_low"):
        args.run(args)
