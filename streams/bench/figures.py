"""Measured figures as JSON: what `twin bench --json` writes, `report` reads, and other programs may write as well.

    {
      "schema": 1,
      "form": "long",                                     "short" or "long"
      "machine": {"cpu": "...", "cores": "2", "memory": "7.8 GiB", "system": "Linux x86_64"},
      "versions": {"Python": "3.11.7", "numpy": "2.4.6"},
      "figures": [
        {
          "name": "worker-json",                          unique within a report; a later one replaces an earlier one
          "group": "worker",                              figures of a group share a table
          "hot_path": "...",                              in words; may be missing
          "input": "...",                                 may be missing
          "counted": "...",                               what is counted, and why that
          "unit": "events/s",
          "values": [1.0, 2.0, 3.0],                      one per repeat, in their order
          "beside": "worker-json"                         of a peer: our figure for the same work; may be missing
        }
      ]
    }

`machine` and `versions` are texts by name. Nothing else is needed to make the tables.
"""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

SCHEMA: Final = 1


class FiguresError(ValueError):
    """A file of figures that cannot be used: says which, and why."""


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing measured. `values` has one entry per repeat, in `unit`."""

    name: str
    group: str
    counted: str
    unit: str
    values: Sequence[float]
    hot_path: str = ""
    input: str = ""
    beside: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures of one machine and one set of versions."""

    machine: dict[str, str]
    versions: dict[str, str]
    figures: Sequence[Figure]
    form: str = "long"
    schema: int = SCHEMA


_DECODER: Final = msgspec.json.Decoder(Report)


def encode(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def decode(data: bytes, name: str) -> Report:
    """Raises FiguresError."""
    try:
        report = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FiguresError(f"{name}: not figures of `twin bench`: {error}") from error
    if report.schema != SCHEMA:
        raise FiguresError(f"{name}: schema {report.schema}, this version reads {SCHEMA}: measure again")
    if empty := [figure.name for figure in report.figures if not figure.values]:
        raise FiguresError(f"{name}: no values for {', '.join(empty)}: leave out what was not measured")
    return report


def read(path: Path) -> Report:
    """Raises FiguresError, or OSError where the file cannot be read."""
    return decode(path.read_bytes(), str(path))


def merge(reports: Iterable[Report]) -> Report:
    """All figures in the order in which their names came first; of one name the last figure counts.

    Raises FiguresError where the machines differ: only figures of one machine stand beside each other.
    """
    reports = list(reports)
    if not reports:
        raise FiguresError("no figures: name at least one file that `twin bench --json` has written")
    machine = reports[-1].machine
    if different := [report.machine for report in reports if report.machine != machine]:
        raise FiguresError(f"figures of two machines, {machine} and {different[0]}: measure both on one")
    versions: dict[str, str] = {}
    figures: dict[str, Figure] = {}
    for report in reports:
        versions |= report.versions
        figures |= {figure.name: figure for figure in report.figures}
    form = "short" if any(report.form == "short" for report in reports) else "long"
    return Report(machine, versions, list(figures.values()), form)
