"""Two multisets of rows: what is on one side only, each row as often as it is."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.audit.compare import unmatched

ROWS = st.lists(st.sampled_from([bytes([k]) * 31 + end for k in range(4) for end in (b"\0", b"\1")]), max_size=30)


@given(ROWS, ROWS)
def test_what_has_no_partner(stored: list[bytes], computed: list[bytes]) -> None:
    extra, lost = unmatched(np.array(stored, "S32"), np.array(computed, "S32"))
    assert Counter(stored[k] for k in extra) == Counter(stored) - Counter(computed)
    assert Counter(computed[k] for k in lost) == Counter(computed) - Counter(stored)
    assert extra == sorted(set(extra))
    assert lost == sorted(set(lost))
