"""Whether group, snapshots, topic and audit root belong together."""

from twin.audit import marker


class StateError(RuntimeError):
    """Group, snapshots and audit root do not fit together. Going on would mix two histories, so the worker ends."""


def check_partitions(where: str, before: int, now: int) -> None:
    """Raises StateError when the topic has another number of partitions than its state was made with (0: unknown)."""
    if before and now and before != now:
        raise StateError(
            f"{where}: the topic has {now} partitions, but had {before}: lines now go to other partitions than the "
            "ones that hold their state. Copy the events to topics with a new prefix, with a new audit root"
        )


def check_topic(where: str, topic: str, before: str, now: str) -> None:
    """Raises StateError when the topic is another one than that of the state ("": not known, nothing is said)."""
    if before and now and before != now:
        raise StateError(f"{where}: {marker.anew(topic, before, now, 'when its state was made')}")


def check_partitioner(where: str, before: str, now: str) -> None:
    """Raises StateError when records were checked by another partitioner ("": not at all, nothing is said)."""
    if before and now and before != now:
        raise StateError(
            f"{where}: its records were checked with TAKTWIN_PARTITIONER={before}, now it is {now}: other records "
            "would be refused. Set it back, or begin anew with a new prefix and a new audit root"
        )
