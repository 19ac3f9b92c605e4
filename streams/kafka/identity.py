"""What Kafka says a topic is: its id and its number of partitions, in one Metadata request of our own.

A topic that is deleted and made anew under its name has another id; by nothing else can the two be told apart for sure.
Ids come with version 10 of the request (Kafka 2.8); aiokafka 0.14 stops at version 5. A broker that knows no version 10
is asked in version 5, and gives none.
"""

import asyncio
from io import BytesIO
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from streams import clock

_NO_ID: Final = UUID(int=0)


class TopicNow(NamedTuple):
    """partitions 0: no broker answers, or the topic is not there. id: 32 hex digits; "": this broker gives none."""

    partitions: int
    id: str


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]  # aiokafka has no types
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class MetadataResponse10(Response):  # type: ignore[misc]  # aiokafka has no types
    """https://kafka.apache.org/protocol, Metadata, version 10."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequest10(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponse10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicRequest(Request[MetadataRequest_v5 | MetadataRequest10]):  # type: ignore[misc]  # aiokafka has no types
    """Of one topic, which is never made by asking for it."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[Any]) -> Any:
        if request_struct_class is MetadataRequest10:
            return MetadataRequest10([(_NO_ID, self._topic, {})], False, False, False, {})
        return MetadataRequest_v5([self._topic], False)


def told(answer: Any, topic: str) -> TopicNow:
    """What an answer to a `TopicRequest` says."""
    for one in answer.to_object()["topics"]:
        if one["topic"] == topic and not one["error_code"]:
            found = one.get("topic_id", _NO_ID)
            return TopicNow(len(one["partitions"]), "" if found == _NO_ID else found.hex)
    return TopicNow(0, "")


async def ask(client: AIOKafkaClient, topic: str, limit_s: float) -> TopicNow:
    """Of any broker that answers. Raises nothing of Kafka: nobody may be there."""
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    asked: set[asyncio.Task[Any]] = set()
    end_s = clock.monotonic_s() + limit_s
    try:
        while nodes or asked:
            if nodes:
                asked.add(asyncio.ensure_future(client.send(nodes.pop(0), TopicRequest(topic))))
            # One that is slow is waited for further, one that hangs does not keep the others from being asked.
            left_s = max(end_s - clock.monotonic_s(), 0.0) / (len(nodes) + 1)
            done, asked = await asyncio.wait(asked, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                if one.exception() is None:
                    return told(one.result(), topic)
                if not isinstance(one.exception(), KafkaError):
                    one.result()  # a fault of ours
            if not nodes and not done:
                break
        return TopicNow(0, "")
    finally:
        for one in asked:
            one.cancel()
