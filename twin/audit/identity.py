"""What shows only across files: no row of results twice, and critical paths that sum over their stations."""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from twin.audit.digest import HASH_BYTES, row_hashes
from twin.audit.intervals import Interval
from twin.audit.layout import PublishedFile
from twin.audit.read import footer_of, open_file
from twin.audit.report import Report
from twin.audit.rows import integers
from twin.results import IDENTITY

_PATH: Final = ("critical_path_ns", "elapsed_ns")


def check_identities(root: Path, found: Mapping[int, list[Interval]], report: Report) -> None:
    """Set by set and date by date: the identity of a row holds its time, so equal ones lie in one folder.

    A change of the plant model begins anew and may conclude the same again: it counts from there. `found` holds files
    that can be read only. Memory: the identities of one date's rows.
    """
    epochs = _epochs(found)
    for set_name in IDENTITY:
        files = sorted(
            (file for group in found.values() for interval in group for file in interval.of(set_name)),
            key=lambda file: file.date,
        )
        for _, group in groupby(files, key=lambda file: file.date):
            _check(root, set_name, list(group), epochs, report)


def _epochs(found: Mapping[int, list[Interval]]) -> dict[tuple[int, int], int]:
    """(partition, first offset of an interval) -> how often the model had changed before."""
    epochs = {}
    for partition, group in found.items():
        epoch, model = 0, None
        for interval in group:
            now = footer_of(interval.files[0]).get("model", "")
            epoch += model is not None and now != model
            model = now
            epochs[partition, interval.first_offset] = epoch
    return epochs


def _check(
    root: Path, set_name: str, files: list[PublishedFile], epochs: Mapping[tuple[int, int], int], report: Report
) -> None:
    sums = _Sums() if set_name == "bottlenecks" else None
    # What a revision took back may become certain again before the next one: it then stands beside its retraction.
    names = [*IDENTITY[set_name], "revision", "retracted"]
    hashes, places = [], []
    for number, file in enumerate(files):
        epoch = (file.partition, epochs[file.partition, file.first_offset])
        columns = [*names, *(_PATH if sums else ())]
        with open_file(file) as parquet:
            table = parquet.read(columns)
        salt = str(epoch).encode()
        for batch in table.combine_chunks().to_batches():
            hashes += [np.frombuffer(row_hashes(set_name, batch, names, salt), f"S{HASH_BYTES}")]
        places.append(np.stack([np.full(table.num_rows, number), np.arange(table.num_rows)]))
        if sums:
            sums.add(epoch, file, table)
    report.checked["row identities"] += sum(map(len, hashes))
    every = np.concatenate([np.empty(0, f"S{HASH_BYTES}"), *hashes])
    order = np.argsort(every, kind="stable")
    twice = np.flatnonzero(every[order][1:] == every[order][:-1]) if len(order) else order
    where = np.concatenate([np.empty((2, 0), np.int64), *places], axis=1)
    for k in twice.tolist():
        (one, first), (other, second) = where[:, order[k]].tolist(), where[:, order[k + 1]].tolist()
        report.differs(
            _name(root, files[other]),
            f"says again, under the same revision, what row {first} of {_name(root, files[one])} says: "
            f"one {', '.join(IDENTITY[set_name])} twice",
            second,
        )
    if sums:
        sums.check(root, report)


class _Row(NamedTuple):
    """Of one station: the greatest is the one that counts."""

    revision: int
    stands: bool
    path_ns: int
    elapsed_ns: int
    file: PublishedFile


class _Sums:
    """The newest rows of every interval of the critical path, by station."""

    def __init__(self) -> None:
        self._found: dict[Any, dict[Any, _Row]] = {}

    def add(self, epoch: tuple[int, int], file: PublishedFile, table: pa.Table) -> None:
        keys = [name for name in IDENTITY["bottlenecks"] if name != "station"]
        columns = [
            integers(table.column(k)).tolist() if k in ("start", "end") else table.column(k).to_pylist() for k in keys
        ]
        numbers = [integers(table.column(name)).tolist() for name in ("revision", *_PATH)]
        stations, retracted = table.column("station").to_pylist(), table.column("retracted").to_pylist()
        for key, station, revision, path, elapsed, gone in zip(
            zip(*columns, strict=True), stations, *numbers, retracted, strict=True
        ):
            mine = self._found.setdefault((epoch, key), {})
            row = _Row(revision, not gone, path, elapsed, file)
            if station not in mine or mine[station] < row:
                mine[station] = row

    def check(self, root: Path, report: Report) -> None:
        for (_, key), stations in self._found.items():
            standing = [row for row in stations.values() if row.stands]
            report.checked["critical path sums"] += bool(standing)
            total, elapsed = sum(row.path_ns for row in standing), {row.elapsed_ns for row in standing}
            if standing and elapsed != {total}:
                line, window = key[0], key[1]
                report.differs(
                    _name(root, standing[0].file),
                    f"critical_path_ns of line {line}, window {window}, from {np.datetime64(key[2], 'ns')}Z sums to "
                    f"{total} ns over its stations, elapsed_ns is {' and '.join(map(str, sorted(elapsed)))}",
                )


def _name(root: Path, file: PublishedFile) -> str:
    return file.path.relative_to(root).as_posix()
