"""Numbers by owner and name: of names that are kept as of names that are looked up one by one."""

import random

import numpy as np
import pytest

from twin.line import texts
from twin.line.texts import Owned, by_owner


@pytest.mark.parametrize("room", [0, 30, 262_144])
def test_names_are_those_of_their_owners(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_MOST_OWNED", room)
    drawn = random.Random(1)  # noqa: S311 -- a case, no secret
    tables = [{name: drawn.randrange(99) for name in "abcdef" if drawn.random() < 0.5} for _ in range(9)]
    owned = Owned(tables)
    for size in (0, 1, 2, 50):
        for words in (("a",), ("x",), ("a", "x", "b"), tuple("fxedyc")):
            for least in (-1, 0):
                owner = np.array([drawn.randrange(len(tables)) for _ in range(size)], np.int32)
                word = np.array([drawn.randrange(least, len(words)) for _ in range(size)], np.int32)
                assert owned.numbers(owner, word, words).tolist() == by_owner(owner, word, words, tables).tolist()
