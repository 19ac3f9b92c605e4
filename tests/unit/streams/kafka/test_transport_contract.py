"""Every private name of Faust, mode and aiokafka that streams/ relies on, and what it relies on it for.

A new version of either fails here, with the place to look at, before it can lose a record in a plant.
"""

import asyncio
import inspect
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import mode
import pytest
from aiokafka import AIOKafkaConsumer, errors
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, Subscription, SubscriptionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol import metadata
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.kafka import transport
from streams.kafka.records import Record, Records
from streams.kafka.transport import (
    Committed,
    Consumer,
    ConsumerThread,
    NullOffsets,
    TransportConfig,
    transport_of,
)
from streams.kafka.unpacking import Fetched, Run


def source(thing: Any) -> str:
    return inspect.getsource(thing)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_pinned_versions() -> None:
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


# What is overridden has the signature that is called.


@pytest.mark.parametrize(
    ("own", "theirs", "name"),
    [
        (Consumer, driver.Consumer, "_getmany"),
        (Consumer, driver.Consumer, "_to_message"),
        (Consumer, driver.Consumer, "_new_consumer_thread"),
        (Consumer, driver.Consumer, "perform_seek"),
        (ConsumerThread, driver.AIOKafkaConsumerThread, "_create_consumer"),
        (ConsumerThread, driver.AIOKafkaConsumerThread, "_seek_wait"),
        (ConsumerThread, driver.AIOKafkaConsumerThread, "_fetch_records"),
        (ConsumerThread, driver.AIOKafkaConsumerThread, "__post_init__"),
    ],
)
def test_overridden_methods_exist_with_these_parameters(own: type, theirs: type, name: str) -> None:
    assert parameters(getattr(own, name)) == parameters(getattr(theirs, name))
    assert getattr(own, name) is not getattr(theirs, name)


@pytest.mark.parametrize("name", ["_new_transport", "_create_directories", "on_start", "on_stop"])
def test_the_application_overrides_what_faust_calls(name: str) -> None:
    from streams.worker.app import TwinApp

    assert parameters(getattr(TwinApp, name)) == parameters(getattr(faust.App, name))
    assert getattr(TwinApp, name) is not getattr(faust.App, name)


def test_the_application_uses_names_faust_has() -> None:
    assert "self._consumer is not None" in source(faust.App._stop_consumer)
    assert "self.flow_control.suspend()" in source(faust.App._stop_consumer)
    assert "self.rebalancing" in source(faust.App.on_rebalance_start)
    assert hasattr(faust.Worker, "execute_from_commandline")
    assert hasattr(faust.Worker, "spinner") or "spinner" in source(faust.Worker.__init__)


# Faust's consumer.


def test_perform_seek_is_what_a_rebalance_ends_with() -> None:
    from faust.tables.recovery import Recovery

    assert "consumer.perform_seek()" in source(Recovery._resume_streams)
    assert "self.perform_seek()" in source(faust_consumer.Consumer.getmany)


def test_faust_reads_and_drops_by_read_offset() -> None:
    drain = source(faust_consumer.Consumer._drain_messages)
    assert "self._read_offset.__getitem__" in drain
    assert "self._read_offset.__setitem__" in drain
    offsets = NullOffsets()
    tp = TP("t", 0)
    offsets[tp] = 5
    offsets.update({tp: 5})
    assert offsets[tp] is None
    assert offsets.pop(tp, None) in (None, 5)


def test_runs_reach_the_scheduler_as_one_record() -> None:
    text = source(faust_consumer.Consumer.getmany)
    assert "self.scheduler.iterate(records)" in text
    assert "to_message(tp, record)" in text
    assert "self._wait_next_records(timeout)" in text
    assert "self._getmany(" in source(faust_consumer.Consumer._wait_next_records)


def test_consumer_thread_names() -> None:
    thread = driver.AIOKafkaConsumerThread
    for name in ("call_thread", "getmany", "seek_wait", "_ensure_consumer", "assignment", "highwater"):
        assert hasattr(thread, name), name
    assert "self._fetch_records" in source(thread.getmany)
    assert "self._seek_wait" in source(thread.seek_wait)
    assert "consumer.seek(tp, offset)" in source(thread._seek_wait)
    assert "fetcher.fetched_records(" in source(thread._fetch_records)
    assert "self._create_consumer(" in source(thread.on_start)
    assert faust_consumer.ensure_TP(TopicPartition("t", 1)) == TP("t", 1)


def test_message_takes_a_generation() -> None:
    assert "generation_id" in parameters(faust.types.ConsumerMessage.__init__)


# aiokafka's consumer.


def test_start_reads_the_private_settings() -> None:
    start = source(AIOKafkaConsumer.start)
    for name in ("fetch_max_wait_ms", "fetch_min_bytes", "fetch_max_bytes", "max_partition_fetch_bytes"):
        assert f"{name}=self._{name}" in start
    assert "isolation_level=self._isolation_level" in start
    assert "self._coordinator = GroupCoordinator(" in start


def test_the_request_timeout_is_read_when_a_connection_is_made() -> None:
    assert "timeout=self._request_timeout_ms / 1000" in source(AIOKafkaConsumer)
    made = source(AIOKafkaClient)
    assert made.count("request_timeout_ms=self._request_timeout_ms") == 2
    assert "self._client = AIOKafkaClient(" in source(AIOKafkaConsumer.__init__)


def test_coordinator_names() -> None:
    made = source(GroupCoordinator.__init__)
    for name in ("self.generation", "self.member_id", "self.coordinator_id", "self._commit_lock"):
        assert name in made or name in source(GroupCoordinator), name
    assert parameters(GroupCoordinator._do_commit_offsets) == ["self", "assignment", "offsets"]
    assert parameters(GroupCoordinator.fetch_committed_offsets) == ["self", "partitions"]
    assert "OffsetAndMetadata(offset, metadata)" in source(GroupCoordinator._do_fetch_commit_offsets)


def test_a_commit_is_built_before_it_first_waits() -> None:
    text = source(GroupCoordinator._do_commit_offsets)
    request, first_await = text.index("OffsetCommitRequest("), text.index("await ")
    assert text.index("self.generation") < first_await
    assert text.index("self.member_id") < first_await
    assert request < first_await
    assert text.count("await ") == 1  # one attempt


async def test_assignment_names() -> None:
    state = SubscriptionState()
    assert state.subscription is None
    subscription = Subscription({"t"})
    assert subscription.assignment is None
    assignment = Assignment([TopicPartition("t", 0)])
    assert assignment.active
    assert set(assignment.tps) == {TopicPartition("t", 0)}


def test_errors_that_mean_fenced_or_retry() -> None:
    for error in (errors.UnknownMemberIdError, errors.IllegalGenerationError, errors.RebalanceInProgressError):
        assert issubclass(error, errors.KafkaError)
    for again in (errors.KafkaConnectionError, errors.GroupCoordinatorNotAvailableError, errors.RequestTimedOutError):
        assert again.retriable
    assert not errors.TopicAuthorizationFailedError.retriable


def test_a_batch_counts_and_refuses() -> None:
    batch = BatchBuilder(1000, 0)
    assert batch.append(timestamp=None, key=b"k", value=b"x" * 600, headers=[]) is not None
    assert batch.append(timestamp=None, key=b"k", value=b"x" * 600, headers=[]) is None
    assert batch.record_count() == 1
    assert hasattr(aiokafka.AIOKafkaProducer, "create_batch")
    assert parameters(aiokafka.AIOKafkaProducer.send_batch) == ["self", "batch", "topic", "partition"]


def test_a_stop_joins_the_consumer_thread() -> None:
    """Why a stop has a hard limit: the thread is no daemon, and a stop waits for it."""
    assert "self.daemon = False" in source(mode.threads.WorkerThread.__init__)


# Our half, with aiokafka's classes but no broker.


class _Coordinator:
    def __init__(self) -> None:
        self.generation = 3
        self.member_id = "m"
        self.coordinator_id: int | None = 1
        self._commit_lock = asyncio.Lock()
        self.sent: list[Any] = []
        self.fail: BaseException | None = None

    async def _do_commit_offsets(self, assignment: Any, offsets: Any) -> None:
        self.sent.append(dict(offsets))
        if self.fail is not None:
            raise self.fail


TP0 = TP("events", 0)


def _thread(partitions: list[TopicPartition]) -> tuple[Any, _Coordinator, Assignment]:
    coordinator = _Coordinator()
    assignment = Assignment(partitions)
    consumer = SimpleNamespace(
        _coordinator=coordinator,
        _subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)),
    )
    thread = object.__new__(ConsumerThread)
    thread._ensure_consumer = lambda: consumer  # type: ignore[method-assign, assignment]  # stands in for a real one
    return thread, coordinator, assignment


async def _commit(thread: Any, token: tuple[int, str] = (3, "m"), limit_s: float = 1.0) -> Committed:
    return await ConsumerThread._commit_fenced(thread, {TP0: (7, "id")}, token, limit_s)


async def test_commit_carries_offset_and_metadata() -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 0)])
    assert await _commit(thread) is Committed.OK
    assert coordinator.sent == [{TopicPartition("events", 0): OffsetAndMetadata(7, "id")}]


@pytest.mark.parametrize("token", [(2, "m"), (3, "other"), (-1, "")])
async def test_commit_of_another_membership_is_not_sent(token: tuple[int, str]) -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 0)])
    if token[0] == -1:
        coordinator.generation, coordinator.member_id = token
    assert await _commit(thread, token) is Committed.FENCED
    assert coordinator.sent == []


async def test_commit_of_somebody_elses_partition_is_not_sent() -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 1)])
    assert await _commit(thread) is Committed.FENCED
    assert coordinator.sent == []


async def test_commit_of_an_ended_assignment_is_not_sent() -> None:
    thread, coordinator, assignment = _thread([TopicPartition("events", 0)])
    assignment._unassign()
    assert await _commit(thread) is Committed.FENCED
    assert coordinator.sent == []


async def test_commit_that_waited_over_a_rebalance_is_not_sent() -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 0)])
    await coordinator._commit_lock.acquire()
    waiting = asyncio.create_task(_commit(thread))
    await asyncio.sleep(0)
    coordinator.generation = 4
    coordinator._commit_lock.release()
    assert await waiting is Committed.FENCED
    assert coordinator.sent == []


async def test_commit_without_coordinator_is_put_off() -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 0)])
    coordinator.coordinator_id = None
    assert await _commit(thread) is Committed.RETRY
    assert coordinator.sent == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.UnknownMemberIdError(), Committed.FENCED),
        (errors.IllegalGenerationError(), Committed.FENCED),
        (errors.RebalanceInProgressError(), Committed.FENCED),
        (errors.KafkaConnectionError(), Committed.RETRY),
        (errors.NotCoordinatorForGroupError(), Committed.RETRY),
    ],
)
async def test_what_the_brokers_answer_means(error: Exception, outcome: Committed) -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 0)])
    coordinator.fail = error
    assert await _commit(thread) is outcome
    assert len(coordinator.sent) == 1


async def test_an_answer_that_no_retry_mends_is_raised() -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 0)])
    coordinator.fail = errors.GroupAuthorizationFailedError("g")
    with pytest.raises(errors.GroupAuthorizationFailedError):
        await _commit(thread)


async def test_commit_that_takes_too_long_is_put_off() -> None:
    thread, coordinator, _ = _thread([TopicPartition("events", 0)])
    await coordinator._commit_lock.acquire()
    assert await _commit(thread, limit_s=0.01) is Committed.RETRY


def _run(*offsets: int) -> Run:
    return Run(Records.of(Record(offset, None, b"v", []) for offset in offsets))


async def test_a_run_knows_where_its_fetch_began(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _, _ = _thread([TopicPartition("events", 0)])
    thread.config = TransportConfig(None)  # type: ignore[arg-type]  # no seek here
    thread._base, thread._base_of = {}, None
    tp = TopicPartition("events", 0)
    answers = [{tp: [_run(4, 5)]}, {tp: [_run(9)]}]
    nothing_more = SimpleNamespace(_fetcher=SimpleNamespace(_records={}))

    async def fetch(*asked: Any) -> Any:
        assert asked[-1] == 1  # records as Faust counts them: a run is one
        return answers.pop(0)

    async def seek(*_: Any) -> None:
        pass

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", fetch)
    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_seek_wait", seek)
    await thread._seek_wait(None, {TP0: 3})
    (first,) = (await thread._fetch_records(nothing_more, {TP0}))[TP0]  # type: ignore[arg-type]  # a part of one
    assert (first.base, first.first) == (3, 4)  # the log holds nothing at 3
    (second,) = (await thread._fetch_records(nothing_more, {TP0}))[TP0]  # type: ignore[arg-type]  # likewise
    assert (second.base, second.first) == (6, 9)


async def test_a_new_assignment_forgets_where_fetches_began(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _, _ = _thread([TopicPartition("events", 0)])
    thread.config = TransportConfig(None)  # type: ignore[arg-type]  # no seek here
    thread._base, thread._base_of = {TP0: 3}, object()

    async def fetch(*_: Any) -> Any:
        return {TopicPartition("events", 0): [_run(8)]}

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", fetch)
    nothing_more = SimpleNamespace(_fetcher=SimpleNamespace(_records={}))
    assert (await thread._fetch_records(nothing_more, {TP0}))[TP0][0].base is None  # type: ignore[arg-type]  # a part


async def test_what_is_assigned_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ensure_TPset(self._ensure_consumer().assignment())" in source(driver.AIOKafkaConsumerThread.assignment)
    thread, _, _ = _thread([TopicPartition("events", 0)])
    thread._held = set(), frozenset()
    held = {TopicPartition("events", 0), TopicPartition("events", 1)}
    monkeypatch.setattr(thread, "_ensure_consumer", lambda: SimpleNamespace(assignment=lambda: set(held)))
    first = thread.assignment()
    assert first == {TP("events", 0), TP("events", 1)}
    assert all(type(tp) is TP for tp in first)
    first.clear()  # the caller's own
    assert len(thread.assignment()) == 2
    held.remove(TopicPartition("events", 1))
    assert thread.assignment() == {TP("events", 0)}


def test_small_runs_of_other_partitions_come_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `fetched_records` does with each, it does not do with more than one at a time."""
    from aiokafka.consumer import fetcher as aiokafka_fetcher

    taken = source(aiokafka_fetcher.Fetcher.fetched_records)
    for what in (
        "res_or_error.getall(max_records)",
        "del self._records[tp]",
        "self._notify(self._wait_consume_future)",
    ):
        assert what in taken

    class There:
        def __init__(self, *runs: Run) -> None:
            self.runs = list(runs)

        def getall(self, most: int) -> list[Run]:
            given, self.runs = self.runs[:most], self.runs[most:]
            return given

        def has_more(self) -> bool:
            return bool(self.runs)

    monkeypatch.setattr(transport, "FetchResult", There)
    places = [TopicPartition("events", p) for p in range(6)]
    told: list[object] = []
    there: dict[Any, Any] = {place: There(_run(p), _run(p + 10)) for p, place in enumerate(places[:4])}
    there |= {places[4]: ValueError("is raised at its own call"), places[5]: There()}
    fetcher = SimpleNamespace(_records=there, _notify=told.append, _wait_consume_future="waits")
    fetched = {places[0]: [_run(100)]}
    active = {TP("events", p) for p in (0, 1, 3, 4, 5)}
    transport._take_small(fetcher, active, fetched)
    assert {place.partition: [run.first for run in runs] for place, runs in fetched.items()} == {
        0: [100],
        1: [1],
        3: [3],
    }
    assert set(there) == set(places[:5])  # what is empty is gone, so that it is fetched anew
    assert told == ["waits"]
    transport._take_small(fetcher, active, fetched)
    assert list(fetched) == [places[0], places[1], places[3]]  # one of each
    monkeypatch.setattr(transport, "SMALL_BYTES", 1)
    transport._take_small(fetcher, active, few := {places[0]: [_run(100)]})
    assert list(few) == [places[0]]


def test_each_worker_has_transport_classes_of_its_own() -> None:
    one, two = (transport_of(TransportConfig(None, wait)) for wait in (1, 2))  # type: ignore[arg-type]  # no seek
    assert one.Consumer is not two.Consumer
    assert (one.Consumer.config.fetch_min_bytes, two.Consumer.config.fetch_min_bytes) == (1, 2)  # type: ignore[attr-defined]  # ours
    assert Consumer not in (one.Consumer, two.Consumer)


def test_a_topic_is_asked_for_in_a_request_of_ours() -> None:
    assert parameters(AIOKafkaClient.send)[:3] == ["self", "node_id", "request"]
    assert "self._client = AIOKafkaClient(" in source(AIOKafkaConsumer.__init__)
    assert "request.prepare(self._versions)" in source(AIOKafkaConnection.send)
    # aiokafka does not ask for ids by itself yet: when it does, ours can go.
    assert metadata.MetadataRequest._CLASSES[-1] is metadata.MetadataRequest_v5


def test_a_fetcher_takes_our_runs_for_records() -> None:
    from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords

    proc = source(Fetcher._proc_fetch_request)
    assert "records = MemoryRecords(part_data[-1])" in proc  # a name of the module: `Fetched` instead
    assert {line.split("records.")[1] for line in proc.splitlines() if " records." in line} == {
        "has_next():",
        "size_in_bytes() > 0:",
    }
    assert hasattr(Fetched, "has_next")
    assert hasattr(Fetched, "size_in_bytes")
    assert "self._records_iterator = self._unpack_records()" in source(PartitionRecords.__init__)
    assert "self._records = records" in source(PartitionRecords.__init__)
    taken = source(FetchResult.getall)
    assert "for msg in self._partition_records:" in taken
    assert "len(ret_list) >= max_records" in taken
    assert "consumed_to(self._partition_records.next_fetch_offset)" in source(FetchResult._update_position)
    assert parameters(PartitionRecords._consume_aborted_up_to) == ["self", "batch_offset"]
    assert "max_records -= len(drained[tp])" in source(Fetcher.fetched_records)


def test_faust_looks_at_nothing_of_a_run_but_its_offset() -> None:
    from faust.transport.utils import TopicBuffer

    assert "record." not in source(TopicBuffer)
    text = source(faust_consumer.Consumer.getmany) + source(faust_consumer.Consumer._drain_messages)
    assert "record." not in text.replace("record.offset", "")
