"""What shows only across files: no row of results twice, and critical paths that sum over their stations."""

import contextlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin import rules
from twin.audit.digest import HASH_BYTES, row_hashes
from twin.audit.intervals import Interval
from twin.audit.layout import PublishedFile
from twin.audit.read import footer_of, open_file
from twin.audit.report import Report
from twin.audit.rows import integers
from twin.results import IDENTITY, SETS, SINCE

_PATH: Final = ("critical_path_ns", "elapsed_ns")
# Of a row's hash: enough that no two of a day's rows share it by chance.
_KEY_BYTES: Final = 16

_BATCH_ROWS: Final = 65_536

Keys = npt.NDArray[np.bytes_]
_NONE: Final[Keys] = np.empty(0, f"S{_KEY_BYTES}")


def check_identities(root: Path, found: Mapping[int, list[Interval]], report: Report) -> None:
    """Set by set, partition by partition, date by date: the identity of a row holds its line, which is of one
    partition, and its time, so equal ones lie in one folder.

    A change of the plant model under older rules began anew and may conclude the same again: it counts from there.
    `found` holds files that can be read only. Memory: of the rows of one partition and date some 70 bytes per row of a
    set, 220 of bottlenecks, and some 40 MB for a batch.
    """
    epochs = _epochs(found)
    for set_name in IDENTITY:
        for group in found.values():
            files = sorted((file for one in group for file in one.of(set_name)), key=lambda file: file.date)
            for _, dated in groupby(files, key=lambda file: file.date):
                _check(root, set_name, list(dated), epochs, report)


def _epochs(found: Mapping[int, list[Interval]]) -> dict[tuple[int, int], int]:
    """(partition, first offset of an interval) -> how often the model had changed before, and lines begun anew."""
    epochs = {}
    for partition, group in found.items():
        epoch, model = 0, None
        for interval in group:
            keys = footer_of(interval.files[0])
            now = keys.get("model", "")
            with contextlib.suppress(ValueError):  # rules that this code does not know: said elsewhere
                epoch += model is not None and now != model and rules.begins_anew(rules.version(keys))
            model = now
            epochs[partition, interval.first_offset] = epoch
    return epochs


def _check(
    root: Path, set_name: str, files: list[PublishedFile], epochs: Mapping[tuple[int, int], int], report: Report
) -> None:
    sums = _Sums() if set_name == "bottlenecks" else None
    # What a revision took back may become certain again before the next one: it then stands beside its retraction.
    names = [*IDENTITY[set_name], "revision", "retracted"]
    parts, counts = [_NONE], [0] * len(files)
    for number, file in enumerate(files):
        salt = str(epochs[file.partition, file.first_offset]).encode()
        with open_file(file) as parquet:
            # Hashing takes some 500 bytes per row: for a batch, not for a file.
            # A column that came later is null in older files.
            later = [
                name for name in SINCE.get(set_name, {}) if name in names and name not in parquet.schema_arrow.names
            ]
            there = [name for name in names if name not in later]
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=[*there, *(_PATH if sums else ())]):
                counts[number] += batch.num_rows
                for name in later:
                    field = SETS[set_name].field(name)
                    batch = batch.append_column(field, pa.nulls(batch.num_rows, field.type))
                parts.append(_keys(set_name, batch, names, salt))
                if sums:
                    sums.add(batch, salt)
    keys, places = np.concatenate(parts), _Places(root, files, counts)
    parts.clear()
    report.checked["row identities"] += len(keys)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    for k in np.flatnonzero(keys[1:] == keys[:-1]).tolist():
        (one, first), (other, second) = places.of(order[k]), places.of(order[k + 1])
        report.differs(
            places.name(other),
            f"says again, under the same revision, what row {first} of {places.name(one)} says: "
            f"one {', '.join(IDENTITY[set_name])} twice",
            second,
        )
    if sums:
        sums.check(places, report)


def _keys(set_name: str, batch: pa.RecordBatch, names: list[str], salt: bytes) -> Keys:
    """What tells the rows apart by these columns, bytes[rows]."""
    every = np.frombuffer(row_hashes(set_name, batch, names, salt), np.uint8).reshape(-1, HASH_BYTES)
    return np.ascontiguousarray(every[:, :_KEY_BYTES]).view(f"S{_KEY_BYTES}").ravel()


class _Places:
    """Where the rows of several files, counted through, lie."""

    def __init__(self, root: Path, files: Sequence[PublishedFile], rows: Sequence[int]) -> None:
        self._root = root
        self._files = files
        self._begins = np.cumsum([0, *rows])

    def of(self, k: int) -> tuple[PublishedFile, int]:
        """File, and row within it."""
        number = int(np.searchsorted(self._begins, k, side="right")) - 1
        return self._files[number], int(k - self._begins[number])

    def name(self, file: PublishedFile) -> str:
        return file.path.relative_to(self._root).as_posix()


class _Sums:
    """The newest rows of every interval of the critical path, by station."""

    def __init__(self) -> None:
        self._intervals: list[Keys] = [_NONE]
        self._stations: list[Keys] = [_NONE]
        self._numbers = [np.empty((4, 0), np.int64)]  # revision, stands, path, elapsed

    def add(self, batch: pa.RecordBatch, salt: bytes) -> None:
        names = list(IDENTITY["bottlenecks"])
        self._stations.append(_keys("bottlenecks", batch, names, salt))
        names.remove("station")
        self._intervals.append(_keys("bottlenecks", batch, names, salt))
        table = pa.Table.from_batches([batch])
        revision, path, elapsed = (integers(table.column(name)) for name in ("revision", *_PATH))
        stands = ~np.asarray(batch.column("retracted"))
        self._numbers.append(np.stack([revision, stands, path, elapsed]).astype(np.int64))

    def check(self, places: _Places, report: Report) -> None:
        revision, stands, path, elapsed = np.concatenate(self._numbers, axis=1)
        station = np.unique(np.concatenate(self._stations), return_inverse=True)[1]
        interval = np.unique(np.concatenate(self._intervals), return_inverse=True)[1]
        # Of each station of an interval the row of the highest revision; of two the one that stands.
        order = np.lexsort((stands, revision, station))
        newest = np.sort(order[np.diff(station[order], append=-1) != 0])
        newest = newest[stands[newest] != 0]
        newest = newest[np.argsort(interval[newest], kind="stable")]
        begins = np.flatnonzero(np.diff(interval[newest], prepend=-1))
        report.checked["critical path sums"] += len(begins)
        if not len(begins):
            return
        total = np.add.reduceat(path[newest], begins)
        least, most = (each.reduceat(elapsed[newest], begins) for each in (np.minimum, np.maximum))
        for k in np.flatnonzero((least != total) | (most != total)).tolist():
            file, row = places.of(newest[begins[k]])
            told = " and ".join(map(str, sorted({int(least[k]), int(most[k])})))
            report.differs(
                places.name(file),
                f"critical_path_ns of {_interval(file, row)} sums to {total[k]} ns over its stations, elapsed_ns is "
                f"{told}",
            )


def _interval(file: PublishedFile, row: int) -> str:
    with open_file(file) as parquet:
        table = parquet.read(["line", "window", "start"]).slice(row, 1)
    line, window = (table.column(name)[0].as_py() for name in ("line", "window"))
    return f"line {line}, window {window}, from {np.datetime64(int(integers(table.column('start'))[0]), 'ns')}Z"
