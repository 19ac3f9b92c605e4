"""Partitions as the clients choose them, against their own code and vectors."""

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.partitioner import CHOICES, choose, would_choose
from streams.settings import Settings, SettingsError


@given(st.binary(max_size=40), st.integers(1, 1_000))
def test_murmur2_is_that_of_the_java_client(key: bytes, partitions: int) -> None:
    assert choose("murmur2", key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


# The published check value of CRC-32, and vectors of FNV-1a (32 bit).
@pytest.mark.parametrize(
    ("name", "key", "hashed"),
    [
        ("crc32", b"", 0),
        ("crc32", b"123456789", 0xCBF43926),
        ("fnv1a", b"", 0x811C9DC5),
        ("fnv1a", b"a", 0xE40C292C),
        ("fnv1a", b"foobar", 0xBF9CF968),
    ],
)
def test_hashes_of_other_clients(name: str, key: bytes, hashed: int) -> None:
    if name == "fnv1a" and hashed >> 31:  # Sarama takes the hash as int32, and its absolute value
        hashed = 2**32 - hashed
    for partitions in (1, 2, 3, 7, 64, 1_000_003):
        assert choose(name, key, partitions) == hashed % partitions


@given(st.text(max_size=20), st.integers(1, 100))
def test_what_chooses_is_found(line: str, partitions: int) -> None:
    for name in CHOICES:
        assert name in would_choose(line.encode(), partitions, choose(name, line.encode(), partitions))


def test_the_setting_knows_its_names() -> None:
    assert Settings().partitioner == "murmur2"
    assert Settings(partitioner="any").partitioner == "any"
    with pytest.raises(SettingsError, match="TAKTWIN_PARTITIONER: 'md5' must be one of murmur2, crc32, fnv1a, any"):
        Settings(partitioner="md5")
