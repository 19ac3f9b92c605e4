"""Ctrl-C, SIGTERM and a closed terminal, all alike: the first one ends what runs, the clean-up is left alone."""

import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TypeVar

_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
T = TypeVar("T")


@contextmanager
def interrupts() -> Iterator[None]:
    """Inside, the first signal raises KeyboardInterrupt and later ones are ignored, so that `finally` runs through.

    A signal handler of Python runs between two byte codes of the main thread: what it cuts is a wait or a step of the
    set-up, and every process that was started is ended by its guard, at the latest when this one is gone.
    """

    def interrupt() -> None:
        raise KeyboardInterrupt

    with _first(interrupt):
        yield


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, in which the first signal cancels the coroutine; then raises KeyboardInterrupt.

    Raised in the middle of the event loop, KeyboardInterrupt would skip the `finally` of whatever is waiting.
    """
    import asyncio

    interrupted = False

    async def main() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            # Wakes the loop, which may be waiting for the network.
            loop.call_soon_threadsafe(task.cancel)

        with _first(interrupt):
            return await coroutine

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _first(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call `interrupt` at the first signal and ignore later ones, also behind this block."""
    seen = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen = True
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        interrupt()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        if not seen:
            for number, handler in before.items():
                signal.signal(number, handler)
