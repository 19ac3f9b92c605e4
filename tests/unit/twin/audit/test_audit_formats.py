import dataclasses
from pathlib import Path

import pytest

from tests.support.audit import rows, table, write
from twin.audit import layout, read
from twin.audit.formats import FOOTER, MEANINGS, SET_MEANINGS, markdown
from twin.audit.views import NAMES
from twin.line.view import LineView
from twin.results import SETS

DOCS = Path(__file__).parents[4] / "docs" / "formats.md"


@pytest.mark.parametrize("set_name", SETS)
def test_every_column_and_no_other_has_a_meaning(set_name: str) -> None:
    known = set(SETS[set_name].names)
    assert known <= set(MEANINGS[set_name])
    assert SET_MEANINGS.keys() == MEANINGS.keys() == SETS.keys()
    assert all("|" not in meaning for meaning in MEANINGS[set_name].values())


def test_the_page_is_up_to_date() -> None:
    assert markdown() in DOCS.read_text(), "run `make docs`"


def test_the_footer_keys_are_the_written_ones(tmp_path: Path) -> None:
    write(tmp_path, {"alerts": table("alerts", rows("alerts", 3))})
    (file,) = layout.published(tmp_path, "alerts")
    with read.open_file(file) as parquet:
        of_others = {"replay", "date", "replaces", "replaced", "replaced_sha256"}  # replays, bases, compactions
        assert read.footer(parquet).keys() == FOOTER.keys() - of_others


def test_the_view_of_a_line_and_the_views_of_queries_are_described() -> None:
    page = DOCS.read_text()
    fields = page.partition("## The view of a line\n")[2].partition("\n## ")[0]
    assert [field.name for field in dataclasses.fields(LineView) if f"`{field.name}`" not in fields] == []
    views = page.partition("### Views people ask for\n")[2].partition("\n### ")[0]
    assert [name for name in NAMES if f"| `{name}` |" not in views] == []
