"""Steps of a pipeline in threads: order kept, bounded, and every error where the caller sees it."""

import threading
from collections.abc import Iterator

import pytest

from twin.threads import Behind, ahead


def test_ahead_keeps_the_order_and_does_not_run_away() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            assert threading.current_thread() is not threading.main_thread()
            made.append(number)
            yield number

    for number, item in enumerate(ahead(numbers(), depth=3)):
        assert item == number
        assert len(made) <= number + 4  # the one in hand, and three ahead of it
    assert len(made) == 100
    assert list(ahead([])) == []
    assert list(ahead([None, None])) == [None, None]


def test_an_error_of_the_items_comes_behind_those_before_it() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    seen = []
    with pytest.raises(OSError, match="gone"):
        for item in ahead(numbers(), depth=5):
            seen.append(item)  # noqa: PERF402  what was seen until the error
    assert seen == [1, 2]


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    items = ahead(iter(range(10)))
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before


def test_behind_calls_in_order_and_hands_on_errors() -> None:
    done: list[int] = []

    def broken() -> None:
        raise OSError("full")

    with Behind() as behind:
        for number in range(5):
            behind.call(lambda number=number: done.append(number))  # type: ignore[misc]  # bound now
    assert done == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="full"), Behind() as behind:
        behind.call(broken)
    with pytest.raises(OSError, match="full"), Behind() as behind:
        behind.call(broken)
        behind.call(lambda: done.append(9))
    assert done == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="mine"), Behind() as behind:
        behind.call(broken)
        raise ValueError("mine")
