"""The Faust application: one agent over runs of records, and the order in which things start and stop."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

import faust
from faust.types import TP

from streams import exits
from streams.kafka.access import faust_credentials
from streams.kafka.topics import EVENTS
from streams.kafka.transport import FAUST_LIMIT_S, Assigned, Consumer, Token, TransportConfig, transport_of
from streams.kafka.unpacking import Run
from streams.settings import Settings
from streams.worker.stop import StopLimit

log = logging.getLogger(__name__)

# Of a revocation: the rebalance waits for it, and with it every other worker.
REVOKE_LIMIT_S: Final = 3.0
# Of a stop's limit: the rest is for leaving the group.
STOP_CHECKPOINT_SHARE: Final = 0.6


class Work(Protocol):
    """What the application drives; `streams.worker.worker.TwinWorker`."""

    @property
    def tasks(self) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]: ...

    async def on_seek(self, assigned: Mapping[TP, Assigned], token: Token) -> Mapping[TP, int] | None: ...

    def loading(self) -> tuple[int, int]: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def on_run(self, tp: TP, run: Run) -> None: ...

    async def checkpoint(self) -> None: ...

    async def last_checkpoint(self) -> None: ...

    def release(self) -> None: ...


class TwinApp(faust.App):
    """Faust without its tables, web server, acknowledgements and folders."""

    logger = logging.getLogger("faust.app")  # else its talk of starting and stopping would be logged as ours

    def __init__(self, settings: Settings, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._work = work
        self._stop_limit = StopLimit(settings.stop_limit_s)
        self.unfinished = False  # stopped without the last checkpoint
        self._transport_config = TransportConfig(
            work.on_seek,
            settings.fetch_min_bytes,
            settings.fetch_wait_ms,
            settings.request_timeout_s,
            work.loading,
        )
        super().__init__(settings.group_id, loop=loop, **_configuration(settings))
        self._wire()

    @property
    def twin_consumer(self) -> Consumer:
        consumer = self.consumer
        assert isinstance(consumer, Consumer)
        return consumer

    def _new_transport(self) -> Any:
        return transport_of(self._transport_config)(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """None: Faust would make a folder for tables, of which there are none."""

    async def on_start(self) -> None:
        self._stop_limit.watch_signals()  # Faust has set its handlers by now
        await super().on_start()
        await self._work.start()

    async def on_stop(self) -> None:
        self._stop_limit.begin()
        if self._consumer is not None:
            self._consumer.stop_flow()
            self.flow_control.suspend()
            self.flow_control.clear()
            limit_s = STOP_CHECKPOINT_SHARE * self._stop_limit.left_s
            try:
                await asyncio.wait_for(self._work.last_checkpoint(), limit_s)
            except TimeoutError:
                self.unfinished = True
                log.warning("no last checkpoint within %.1f s; the next owner replays", limit_s)
        await self._work.stop()
        await super().on_stop()

    def _wire(self) -> None:
        work = self._work
        topic = self.topic(
            self._settings.topic(EVENTS),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,
        )

        @self.agent(topic)
        async def fold(stream: Any) -> None:
            async for event in stream.events():
                try:
                    await work.on_run(event.message.tp, event.message.value)
                except Exception as error:
                    exits.end_now(exits.INTERNAL, f"{event.message.tp} at {event.message.offset}: {error}", error)

        @self.on_partitions_revoked.connect
        async def revoked(*_: Any, **__: Any) -> None:
            try:
                await asyncio.wait_for(work.checkpoint(), REVOKE_LIMIT_S)
            except TimeoutError:
                log.warning("no checkpoint within %s s of a revocation; the next owner replays", REVOKE_LIMIT_S)
            work.release()

        for task in work.tasks:
            self.task(_guarded(task))


def _guarded(task: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def run() -> None:
        try:
            await task()
        except Exception as error:
            exits.end_now(exits.INTERNAL, f"{task.__name__}: {error}", error)

    run.__name__ = task.__name__
    return run


def _configuration(settings: Settings) -> dict[str, Any]:
    static = {"consumer_group_instance_id": settings.instance} if settings.instance else {}
    return {
        "broker": [f"kafka://{server}" for server in settings.bootstrap.split(",")],
        # Kept by our transport: it makes its consumer with Faust's own method.
        "broker_credentials": faust_credentials(settings),
        "store": "memory://",
        "web_enabled": False,  # it would listen on every address, with pages that list tables
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "table_standby_replicas": 0,
        "consumer_auto_offset_reset": "earliest",
        # A broker that has just come back may not know the topic yet; then nobody is given a partition until somebody
        # asks again. The default, five minutes, was five minutes without a worker at work.
        "consumer_metadata_max_age_ms": 5_000,
        "consumer_max_fetch_size": settings.fetch_bytes,
        # Never full: a full buffer makes Faust sleep a second. The transport holds the fetcher back before.
        "stream_buffer_maxsize": 4096,
        "stream_wait_empty": False,
        "broker_session_timeout": settings.session_timeout_s,
        "broker_heartbeat_interval": settings.heartbeat_interval_s,
        "broker_rebalance_timeout": settings.rebalance_timeout_s,
        "broker_request_timeout": FAUST_LIMIT_S,  # that of requests is the transport's
        "datadir": settings.state_folder,  # named, never made
        **static,
    }


def run(app: TwinApp, loop: asyncio.AbstractEventLoop) -> int:
    """Run until SIGTERM, SIGINT or a crash; returns the exit code. Reads no command line: Faust's own would."""
    worker = faust.Worker(app, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return int(end.code or (exits.HARD_STOP if app.unfinished else exits.OK))
