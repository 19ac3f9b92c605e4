"""Which partition a key belongs to, as the clients of Kafka choose it.

All of a line's events must lie in one partition, and every program that sends them must choose the same: a worker
knows from the setting which one it is, and refuses what lies elsewhere (docs/producers.md).
"""

import zlib
from collections.abc import Callable
from typing import Final

ANY: Final = "any"  # nothing is checked: of a line in two partitions there are then two twins


def _murmur2(key: bytes, partitions: int) -> int:
    """Kafka's own: the Java client and what follows it. (That of aiokafka takes a third of a second to import.)"""
    m, h = 0x5BD1E995, 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ ((k ^ k >> 24) * m & 0xFFFFFFFF)
    if key[whole:]:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def _crc32(key: bytes, partitions: int) -> int:
    """librdkafka's `consistent` and `consistent_random`, its default."""
    return zlib.crc32(key) % partitions


def _fnv1a(key: bytes, partitions: int) -> int:
    """Sarama's default, and librdkafka's `fnv1a`."""
    h = 0x811C9DC5
    for byte in key:
        h = (h ^ byte) * 0x01000193 & 0xFFFFFFFF
    signed = h - (1 << 32) if h >> 31 else h
    return abs(signed) % partitions


CHOICES: Final[dict[str, Callable[[bytes, int], int]]] = {"murmur2": _murmur2, "crc32": _crc32, "fnv1a": _fnv1a}
NAMES: Final = (*CHOICES, ANY)
DEFAULT: Final = "murmur2"


def choose(name: str, key: bytes, partitions: int) -> int:
    """The partition, from 0 on, of a key. Who sends chooses as Kafka does where nothing is checked."""
    return CHOICES.get(name, _murmur2)(key, partitions)


def would_choose(key: bytes, partitions: int, partition: int) -> list[str]:
    """The partitioners by which a key comes to lie there."""
    return [name for name, one in CHOICES.items() if one(key, partitions) == partition]
