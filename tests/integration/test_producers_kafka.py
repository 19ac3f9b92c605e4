"""The blocks of docs/producers.md, run as they stand: the record lies where a worker wants it, and is an event."""

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.partitioner import choose
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker
from streams.settings import Settings
from twin.plant import loads
from twin.wire.decode import Decoder

pytestmark = pytest.mark.kafka

DOCS = (Path(__file__).parents[2] / "docs/producers.md").read_text(encoding="utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", DOCS, re.DOTALL))
PARTITIONS = 7
PLANT = loads(
    'site = "s"\n[[area]]\nid = "a"\n[[line]]\nid = "filling-1"\narea = "a"\ntype = "cell"\n'
    '[[line.station]]\nid = "filler"\n',
    "plant.toml",
)


def command(name: str) -> list[str] | None:
    """What runs a block; None: its client is not installed."""
    if name == "node":
        node = shutil.which("node")
        found = node and subprocess.run([node, "-e", 'require("kafkajs")'], capture_output=True, check=False)  # noqa: S603
        return [node, "-"] if node and found and not found.returncode else None
    module = {"python": "aiokafka", "confluent": "confluent_kafka"}[name]
    return [sys.executable, "-"] if importlib.util.find_spec(module) else None


def _run(run: list[str], code: str, bootstrap: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {"TAKTWIN_BOOTSTRAP": bootstrap}
    return subprocess.run(run, input=code, text=True, capture_output=True, timeout=120, check=False, env=env)  # noqa: S603


@pytest.mark.parametrize("name", BLOCKS)
async def test_the_record_is_an_event_in_its_partition(name: str, broker: LocalBroker, prefix: str) -> None:
    run = command(name)
    if run is None:
        pytest.skip(f"the client of the block {name} is not installed")
    settings = Settings(bootstrap=broker.bootstrap, prefix=prefix, partitions=PARTITIONS)
    await ensure(settings)
    topic = settings.topic("events")
    code = BLOCKS[name].replace("twin.events", topic)
    done = await asyncio.to_thread(_run, run, code, broker.bootstrap)
    assert done.returncode == 0, done.stderr
    home = TopicPartition(topic, choose("murmur2", b"filling-1", PARTITIONS))
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
        consumer.assign([home])
        await consumer.seek_to_beginning()
        record = await consumer.getone()
    assert record.key == b"filling-1"
    block, refused = Decoder(PLANT).decode([record.value], [0])
    assert (len(block), refused) == (1, [])


def test_every_language_has_its_block() -> None:
    assert {"python", "confluent", "node"} == set(BLOCKS)
    for heading in ("Python", "C, C++, .NET", "Node", "Go", "Java", "Rust"):
        assert f"\n## {heading}" in DOCS
