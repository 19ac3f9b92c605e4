"""docs/kpis.md shows the policies as they are."""

from pathlib import Path

from kernels.codes import CLASS_NAMES, N_CLASSES
from kernels.figures.oee import POLICIES, ROLE_NAMES

LINES = (Path(__file__).parents[3] / "docs/kpis.md").read_text(encoding="utf-8").splitlines()


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def test_policy_table() -> None:
    head = LINES.index(row("class", *(f"`{name}`" for name in POLICIES)))
    table = LINES[head + 2 : head + 2 + N_CLASSES]
    assert table == [
        row(f"`{CLASS_NAMES[c]}`", *(ROLE_NAMES[policy.roles[c]] for policy in POLICIES.values()))
        for c in range(N_CLASSES)
    ]


def test_every_class_is_explained() -> None:
    head = LINES.index("| class | meaning | ISO 22400-2, SEMI E10 |")
    explained = [line.split("|")[1].strip(" `") for line in LINES[head + 2 : head + 2 + N_CLASSES]]
    assert explained == list(CLASS_NAMES[:N_CLASSES])
