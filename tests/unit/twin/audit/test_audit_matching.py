"""Hashes matched piece by piece are matched as all at once."""

import random

import numpy as np
import pytest

from tests.support.audit import rows, table
from twin.audit.compare import hashes_of, unmatched
from twin.audit.matching import Expected, Matching
from twin.pace import MOST_ROWS, Pace


@pytest.mark.parametrize("seed", range(200))
def test_pieces_match_as_the_whole(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 -- test data, nothing secret
    few = [bytes([k]) * 32 for k in range(rng.choice((1, 3, 50)))]
    written, computed = ([rng.choice(few) for _ in range(rng.randrange(40))] for _ in range(2))
    if rng.random() < 0.3:
        computed = rng.sample(written, len(written))
    stored, again = np.array(written, "S32"), np.array(computed, "S32")
    extra, lost = unmatched(stored, again)
    expected = Expected(stored)
    found, begin = [], 0
    while begin < len(again):
        piece = again[begin : begin + rng.randrange(1, 12)]
        found += (np.flatnonzero(expected.take(piece)) + begin).tolist()
        begin += len(piece)
    assert sorted(again[found].tolist()) == sorted(again[lost].tolist())
    assert expected.left().tolist() == extra
    assert found == lost


def test_rows_are_kept_where_they_are_to_be_shown() -> None:
    made = table("kpis", rows("kpis", 90, seed=3))
    for keep in (True, False):
        matching = Matching("kpis", 3, [made.slice(0, 50), made.slice(60)], keep=keep)
        for begin in range(0, 90, 7):
            matching.take(made.slice(begin, 7).filter(np.arange(begin, min(begin + 7, 90)) != 20))
        assert matching.rows == 80
        assert matching.left().tolist() == [20]
        assert matching.lost_rows == 10
        shown = [hash for one in matching.lost for hash in hashes_of("kpis", one).tolist()]
        assert shown == (hashes_of("kpis", made.slice(50, 10)).tolist() if keep else [])


def test_few_events_at_once_where_they_give_many_rows() -> None:
    pace = Pace(65_536)
    for _ in range(20):
        pace.gave(pace.at_once, 0)
    assert pace.at_once == 65_536
    pace.gave(65_536, 100 * 65_536)
    assert pace.at_once * 100 <= MOST_ROWS
    pace.gave(1, 10 * MOST_ROWS)
    assert pace.at_once == 1
    pace.gave(1, 1)
    assert pace.at_once == 2
