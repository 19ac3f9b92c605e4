"""What a worker's snapshots say of the audit: the only word outside the files on where a partition's chain ends."""

from pathlib import Path

from streams.state.snapshot_files import SnapshotError, decode
from twin.audit import AuditError, layout
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


def needed_from(state: Path) -> dict[int, int]:
    """Partition -> first offset of the files that any of its snapshots names: a worker may look for these by name.

    Raises AuditError: a snapshot cannot be read, so nobody knows what it names.
    """
    found, damaged = anchors(state)
    if damaged:
        raise AuditError(f"{state.parent}/{damaged[0].file}: {damaged[0].what}; mend or remove it first")
    needed: dict[int, int] = {}
    for one in found:
        firsts = [layout.published_file(state, file.path).first_offset for file in one.files]
        needed[one.partition] = min([*firsts, one.next_offset, needed.get(one.partition, one.next_offset)])
    return needed
