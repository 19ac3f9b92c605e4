from pathlib import Path

import pytest

from tests.support.audit import rows, table, write
from twin.audit import layout, read
from twin.audit.formats import FOOTER, MEANINGS, SET_MEANINGS, markdown
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
