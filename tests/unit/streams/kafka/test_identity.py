"""The id of a topic: the bytes of the request and of its answer, as Kafka's protocol guide has them."""

import asyncio
import struct
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataResponse_v5

from streams.kafka.identity import MetadataResponse10, TopicNow, TopicRequest, ask, told

ID = UUID("0123456789abcdef0123456789abcdef")
NAME = b"twin.events"


def _answer(error: int = 0, topic_id: UUID = ID) -> bytes:
    """Written by hand, field by field."""
    partition = struct.pack(">hiii", 0, 0, 1, 7) + b"\2" + struct.pack(">i", 1) + b"\2" + struct.pack(">i", 1) + b"\1\0"
    topic = struct.pack(">h", error) + bytes([len(NAME) + 1]) + NAME + topic_id.bytes + b"\0"
    topic += b"\3" + partition + partition + struct.pack(">i", -(1 << 31)) + b"\0"
    broker = struct.pack(">i", 1) + b"\2h" + struct.pack(">i", 9092) + b"\0" + b"\0"
    return struct.pack(">i", 0) + b"\2" + broker + b"\2c" + struct.pack(">i", 1) + b"\2" + topic + b"\0\0\0\0" + b"\0"


def test_the_request_in_version_10() -> None:
    made = TopicRequest("twin.events").prepare({3: (0, 13)})
    assert made.API_VERSION == 10
    assert made.encode() == b"\2" + bytes(16) + bytes([len(NAME) + 1]) + NAME + b"\0" + b"\0\0\0" + b"\0"
    header = made.build_request_header(5, "me").encode()
    assert header == struct.pack(">hhih", 3, 10, 5, 2) + b"me" + b"\0"
    assert made.parse_response_header(struct.pack(">i", 5) + b"\0").correlation_id == 5


def test_the_answer_in_version_10() -> None:
    assert told(MetadataResponse10.decode(_answer()), "twin.events") == TopicNow(2, ID.hex)
    assert told(MetadataResponse10.decode(_answer()), "other") == TopicNow(0, "")
    assert told(MetadataResponse10.decode(_answer(error=3)), "twin.events") == TopicNow(0, "")
    assert told(MetadataResponse10.decode(_answer(topic_id=UUID(int=0))), "twin.events") == TopicNow(2, "")


def test_a_broker_without_ids_is_asked_all_the_same() -> None:
    made = TopicRequest("twin.events").prepare({3: (0, 9)})
    assert made.API_VERSION == 5
    assert made.encode() == struct.pack(">ih", 1, len(NAME)) + NAME + b"\0"  # and makes no topic
    answer = MetadataResponse_v5(0, [], "c", 1, [(0, "twin.events", False, [(0, 0, 1, [1], [1], [])])])
    assert told(answer, "twin.events") == TopicNow(1, "")


class _Client:
    """Brokers by name: an answer, or what is raised; None answers never."""

    def __init__(self, **brokers: Any) -> None:
        self.asked: list[str] = []
        self._answers = brokers
        self.cluster = SimpleNamespace(brokers=lambda: [SimpleNamespace(nodeId=name) for name in brokers])

    async def send(self, node: str, _request: TopicRequest) -> Any:
        self.asked.append(node)
        answer = self._answers[node]
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        return answer


@pytest.mark.parametrize("first", [KafkaConnectionError(), None])
async def test_the_next_broker_is_asked_when_one_does_not_answer(first: Any) -> None:
    client = _Client(a=first, b=MetadataResponse10.decode(_answer()))
    assert await ask(client, "twin.events", 0.2) == TopicNow(2, ID.hex)  # type: ignore[arg-type]  # a client
    assert client.asked == ["a", "b"]


async def test_nobody_answers() -> None:
    client = _Client(a=KafkaConnectionError(), b=None)
    assert await ask(client, "twin.events", 0.2) == TopicNow(0, "")  # type: ignore[arg-type]  # a client
    assert await ask(_Client(), "twin.events", 0.2) == TopicNow(0, "")  # type: ignore[arg-type]  # a client
