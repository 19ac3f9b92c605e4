"""Names of an audit root: each is taken apart as it was made, and nobody else spells one."""

import ast
import re
from pathlib import Path

import pytest

from twin.audit import layout
from twin.audit.filelist import is_entry
from twin.audit.models import is_model
from twin.audit.waiting import is_visible

HOME = Path(__file__).parents[4]
SHA = "0123456789abcdef" * 4
# How an offset, a pattern of numbers or a folder of the root would be spelled.
SPELLED = re.compile(r"020d|.*\\d\{(5,10|20)\}.*|_(files|waiting|models|objects|pieces|bases)(/.*)?|.*\bdate=.*")


@pytest.mark.parametrize("partition", [0, 7, 99_999, 2_147_483_647])
@pytest.mark.parametrize(("first", "following"), [(0, 0), (0, 5), (2**62, 2**63 - 1)])
def test_what_is_made_is_taken_apart(partition: int, first: int, following: int) -> None:
    assert layout.partition_of(layout.partition_name(partition)) == partition
    final = layout.final_name("kpis", "2026-03-02", partition, first, following)
    file = layout.published_file(Path(), final)
    assert layout.is_final(final)
    assert (file.set, file.date, file.partition) == ("kpis", "2026-03-02", partition)
    assert (file.first_offset, file.next_offset) == (first, following)
    assert layout.object_offsets(layout.object_name(file, SHA)) == (first, following)
    assert layout.is_staged(layout.staged_name("kpis", "2026-03-02", partition, first, following, 3))
    entry = layout.entry_name(partition, first, "rejected")
    assert is_entry(entry)
    assert layout.entry_offset(Path(entry).name) == first
    assert layout.is_intent(Path(layout.intent_name(partition, first)).name)
    assert not is_entry(layout.intent_name(partition, first))
    piece = layout.piece_name(partition, layout.piece_stem(partition, first, following, SHA))
    assert is_visible(piece)
    assert layout.piece_of(Path(piece).name) == (partition, first, following)
    assert layout.follows_on(following, SHA) in piece


def test_names_without_offsets() -> None:
    assert layout.model_of(Path(layout.model_name(SHA[:16])).name) == SHA[:16]
    assert is_model(layout.model_name(SHA[:16]))
    assert layout.share_of(Path(layout.share_name(12)).name) == 12


@pytest.mark.parametrize("name", ["p1", "p00001x", "", "p000000000001", "p0000\u0661"])
def test_other_names_are_nobodys(name: str) -> None:
    assert layout.partition_of(name) is None
    assert layout.piece_of(name) is None
    assert layout.entry_offset(name) is None
    assert layout.model_of(name) is None
    assert layout.share_of(name) is None
    with pytest.raises(ValueError, match="is no name of an object"):
        layout.object_offsets(name)


def test_no_other_module_spells_a_name() -> None:
    found = []
    for path in sorted(path for folder in ("twin", "streams") for path in (HOME / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs)
        found += [f"{path.name}:{one.lineno}" for one in texts if SPELLED.fullmatch(str(one.value))]
    assert {one.partition(":")[0] for one in found} == {"layout.py"}, found
