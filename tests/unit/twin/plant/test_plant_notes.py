"""What `twin plant check` says that is no mistake."""

import pytest

from tests.support.plant import SMALL
from twin.plant import loads
from twin.plant.notes import notes


@pytest.mark.parametrize(
    ("revise", "says"), [("", "no `revise`"), ("35h", "later is refused"), ("36h", None), ("80h", None)]
)
def test_where_operators_enter_a_short_revise_is_told(revise: str, says: str | None) -> None:
    text = SMALL.replace("[[line.", f'revise = "{revise}"\n[[line.') if revise else SMALL
    assert notes(loads(text)) == ()  # where nobody enters anything
    found = notes(loads(text + '[[reason]]\nid = "jam"\n'))
    assert (says is None and not found) or (says is not None and says in found[0])
