"""Work beside the caller's: one step of a pipeline in a thread of its own, its order and its errors kept."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

T = TypeVar("T")
_END: Final = object()


def ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items in the same order, made in a thread: at most `depth` of them before they are asked for.

    What making an item raises is raised where that item would have come.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "ahead") as pool:
        made: deque[Future[object]] = deque(pool.submit(next, iterator, _END) for _ in range(depth))
        while (item := made.popleft().result()) is not _END:
            made.append(pool.submit(next, iterator, _END))
            yield item  # type: ignore[misc]  # an item: it is not the end


class Behind:
    """Calls made one after another in a thread, at most one of them behind the caller.

    What a call raises is raised by the next `call`, or at the end of the `with`, unless that ends with an error itself.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "behind")
        self._last: Future[None] | None = None

    def call(self, function: Callable[[], None]) -> None:
        self._wait()
        self._last = self._pool.submit(function)

    def _wait(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pool.shutdown()
        if error is None:
            self._wait()
