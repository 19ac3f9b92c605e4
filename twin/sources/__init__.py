"""Logs as event blocks: CSV and MTConnect SHDR with a mapping, JSON lines, and the audited events themselves.

No Kafka, no wall clock: one log always gives the same events in the same order.
"""

from collections.abc import Sequence
from pathlib import Path

from twin.plant import SourceRule
from twin.plant import sources as plant_sources
from twin.plant.model import Plant
from twin.sources.csv_log import CsvLog
from twin.sources.jsonl import JsonLines
from twin.sources.mapping import CsvMapping, Mapping, MappingError
from twin.sources.mapping import load as load_mapping
from twin.sources.merge import Logs
from twin.sources.parquet import EventsParquet
from twin.sources.shdr import ShdrLog
from twin.sources.source import BLOCK_EVENTS, Batch, Source, SourceError
from twin.sources.summary import Summary

__all__ = [
    "BLOCK_EVENTS",
    "Batch",
    "Logs",
    "Mapping",
    "MappingError",
    "Source",
    "SourceError",
    "Summary",
    "load_mapping",
    "open_log",
    "open_logs",
]

_JSON_LINES = (".jsonl", ".ndjson")


def open_log(path: Path | str, plant: Plant, mapping: Mapping | None = None) -> Source:
    """One log. A mapping decides how it is read; without one its name does. Raises MappingError or SourceError."""
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path}: there is no such file; check the path")
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if path.is_dir() or suffix == ".parquet":
        return EventsParquet(path, plant)
    if suffix in _JSON_LINES:
        return JsonLines(path, plant)
    if mapping is None:
        raise SourceError(
            f"{path}: needs a mapping that says what it holds: name one, or add a [[source]] with its file name to the "
            "plant (JSON lines, .jsonl or .ndjson, and events .parquet need none)"
        )
    return CsvLog(path, plant, mapping) if isinstance(mapping, CsvMapping) else ShdrLog(path, plant, mapping)


def open_logs(
    paths: Sequence[Path | str],
    plant: Plant,
    mapping: Mapping | None = None,
    rules: Sequence[SourceRule] | None = None,
) -> Logs:
    """Logs merged to one stream. Raises MappingError, SourceError or PlantError.

    `mapping` holds for all of them; without it the first of `rules` that matches a file's name decides (by default the
    `[[source]]` rules of the file the plant was read from).
    """
    if rules is None:
        rules = plant_sources(plant.source) if mapping is None and Path(plant.source).is_file() else ()
    loaded: dict[Path, Mapping] = {}
    opened = []
    for path in paths:
        chosen = mapping
        rule = next((rule for rule in rules if rule.matches(str(path))), None) if mapping is None else None
        if rule is not None and rule.mapping is not None:
            if rule.mapping not in loaded:
                loaded[rule.mapping] = load_mapping(rule.mapping)
            chosen = loaded[rule.mapping]
        opened.append(open_log(path, plant, chosen))
    return Logs(opened, plant)
