"""What a worker's snapshots say of the audit: the only word outside the files on where a partition's chain ends."""

from pathlib import Path

from streams.snapshots import SnapshotError, decode
from twin.audit.report import Difference
from twin.audit.verify import Anchor


def anchors(state: Path) -> tuple[list[Anchor], list[Difference]]:
    """Of every snapshot in a state folder, whatever the group; and the snapshots that cannot be read."""
    found, damaged = [], []
    for path in sorted(state.glob("*/p*.snapshot")):
        name = path.relative_to(state.parent).as_posix()
        try:
            head = decode(path.read_bytes(), name).head
        except FileNotFoundError:
            continue  # a worker has just cleaned up behind itself
        except (SnapshotError, OSError) as error:
            damaged.append(Difference(name, str(error).removeprefix(f"{name}: ")))
            continue
        files = tuple(file for manifest in head.manifests for file in manifest.files)
        published = head.waiting.begin if head.waiting is not None else head.next_offset
        found.append(Anchor(head.partition, published, head.chain, name, files, head.waiting))
    return found, damaged
