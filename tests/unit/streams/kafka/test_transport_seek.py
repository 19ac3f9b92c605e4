"""A seek that never ends must end the process: Faust would lose every later rebalance without a word."""

import asyncio
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from mode import Service

from streams import exits
from streams.kafka.transport import Consumer, TransportConfig


async def test_a_timeout_looks_to_faust_like_its_own_stop() -> None:
    """Why: its task for rebalances takes `stopped` for the end of the service. Should mode change, look again."""
    from inspect import getsource

    from faust.tables.recovery import Recovery

    class Waiting(Service):
        pass

    service = Waiting()
    assert (await service.wait_first(asyncio.sleep(9), timeout=0.01)).stopped
    assert "raise ServiceStopped()" in getsource(Recovery._wait)
    assert "timeout=self.app.conf.broker_request_timeout" in getsource(Recovery._resume_streams)


class Ended(BaseException):
    pass


@pytest.mark.parametrize("hangs", ["broker", "state"])
async def test_a_seek_that_takes_too_long_ends_the_process(monkeypatch: pytest.MonkeyPatch, hangs: str) -> None:
    told: list[tuple[int, str]] = []

    def end_now(code: int, message: str, error: BaseException | None = None) -> NoReturn:
        told.append((code, message))
        raise Ended

    async def forever(*_: Any) -> Any:
        await asyncio.sleep(60)

    async def at_once(*_: Any) -> dict[Any, Any]:
        return {}

    monkeypatch.setattr(exits, "end_now", end_now)
    consumer = Consumer.__new__(Consumer)
    consumer.config = TransportConfig(forever if hangs == "state" else at_once, request_timeout_s=0.1)
    consumer._seek_lock = asyncio.Lock()
    consumer._thread = SimpleNamespace(  # type: ignore[assignment]  # of the thread, what a seek asks
        token=lambda: (1, "m"), assigned=forever if hangs == "broker" else at_once
    )
    with pytest.raises(Ended):
        await consumer.perform_seek()
    assert told[0][0] == exits.WATCHDOG
    assert "no progress for 0.1 s (0 of 0 states are loaded)" in told[0][1]


async def test_a_seek_that_goes_on_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand states took longer than a request may, and the worker ended with 72 at each start."""
    ended: list[int] = []
    monkeypatch.setattr(exits, "end_now", lambda code, *_: ended.append(code))
    loaded = 0

    async def slowly(*_: Any) -> dict[Any, Any]:
        nonlocal loaded
        for _ in range(8):
            await asyncio.sleep(0.05)
            loaded += 1
        return {}

    async def at_once(*_: Any) -> dict[Any, Any]:
        return {}

    consumer = Consumer.__new__(Consumer)
    consumer.config = TransportConfig(slowly, request_timeout_s=0.1, loading=lambda: (loaded, 8))
    consumer._seek_lock = asyncio.Lock()
    consumer._thread = SimpleNamespace(token=lambda: (1, "m"), assigned=at_once)  # type: ignore[assignment]  # as above
    monkeypatch.setattr(consumer, "forget_runs", lambda: None)
    monkeypatch.setattr(consumer, "seek_wait", at_once)
    await consumer.perform_seek()
    assert (loaded, ended) == (8, [])
