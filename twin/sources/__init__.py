"""Logs as event blocks: CSV and MTConnect SHDR with a mapping, JSON lines, and the audited events themselves.

No Kafka, no wall clock: one log always gives the same events in the same order.
"""

from collections.abc import Sequence
from pathlib import Path

from twin.plant import SourceRule
from twin.plant import sources as plant_sources
from twin.plant.model import Plant
from twin.sources.bind import LogPath
from twin.sources.chain import Chain, Link
from twin.sources.csv_log import CsvLog, fits
from twin.sources.files import members
from twin.sources.jsonl import JsonLines
from twin.sources.mapping import CsvMapping, Mapping, MappingError
from twin.sources.mapping import load as load_mapping
from twin.sources.merge import Logs
from twin.sources.parquet import EventsParquet
from twin.sources.repeats import RowNames
from twin.sources.share import Share
from twin.sources.shdr import ShdrLog
from twin.sources.source import BLOCK_EVENTS, Batch, Source, SourceError, Stage
from twin.sources.summary import Summary
from twin.sources.typed_tables import WORKBOOKS, sheets

__all__ = [
    "BLOCK_EVENTS",
    "Batch",
    "LogPath",
    "Logs",
    "Mapping",
    "MappingError",
    "Share",
    "Source",
    "SourceError",
    "Summary",
    "is_events",
    "load_mapping",
    "log_paths",
    "mapped",
    "open_log",
    "open_logs",
    "open_sources",
]

_JSON_LINES = (".jsonl", ".ndjson")


def open_log(
    path: Path | str | LogPath,
    plant: Plant,
    mapping: Mapping | None = None,
    stage: Stage = None,
    names: RowNames | None = None,
    link: Link | None = None,
) -> Source:
    """One log. A mapping decides how it is read; without one its name does. Raises MappingError or SourceError.

    `names`: of the rows of the logs that are read together with it; `link`: how it hangs together with them.
    """
    log = path if isinstance(path, LogPath) else LogPath(Path(path))
    path = log.path
    if not path.exists():
        raise SourceError(f"{path}: there is no such file; check the path")
    suffix = _suffix(log.file)
    if is_events(log, mapping):
        return EventsParquet(path, plant)
    if suffix in _JSON_LINES and log.member is None:
        return JsonLines(path, plant, stage)
    if mapping is None:
        raise SourceError(
            f"{log.name}: needs a mapping that says what it holds: name one, or add a [[source]] with its file name to "
            "the plant (JSON lines, .jsonl or .ndjson, and events .parquet need none); "
            "`twin source check --suggest` drafts one"
        )
    if isinstance(mapping, CsvMapping):
        return CsvLog(log, plant, mapping, stage, names, link)
    return ShdrLog(log, plant, mapping, stage)


def open_logs(
    paths: Sequence[Path | str],
    plant: Plant,
    mapping: Mapping | None = None,
    rules: Sequence[SourceRule] | None = None,
    ends: bool = True,
    share: Share | None = None,
) -> Logs:
    """Logs merged to one stream, each of their lines ended unless `ends` is False; of a `share` only its lines. Raises
    MappingError, SourceError or PlantError.

    `mapping` holds for all of them; without it the first of `rules` that matches a file's name decides (by default the
    `[[source]]` rules of the file the plant was read from). A folder of files, a pattern, a zip archive and a workbook
    stand for what is in them (`log_paths`).
    """
    return Logs(open_sources(paths, plant, mapping, rules, together=True), plant, ends, share)


def open_sources(
    paths: Sequence[Path | str],
    plant: Plant,
    mapping: Mapping | None = None,
    rules: Sequence[SourceRule] | None = None,
    together: bool = False,
) -> list[Source]:
    """The logs one by one; `together` to be merged, as `open_logs` does: what is open in one goes on in the next."""
    opened: list[Source] = []
    counted: dict[str, str] = {}  # from what rows without times are counted: the log that began there
    names: dict[int, RowNames] = {}  # each mapping's own
    chains: dict[int, Chain] = {}
    for log, chosen, _ in mapped(paths, plant, mapping, rules):
        opened += [
            open_log(
                part,
                plant,
                chosen,
                names=names.setdefault(id(chosen), RowNames()),
                link=chains.setdefault(id(chosen), Chain()).link() if together else None,
            )
            for part in _sheets(log, chosen)
        ]
    for source in opened:
        if isinstance(source, CsvLog) and (begin := source.counted_from) is not None:
            source.begins_as(counted.setdefault(begin, source.name))
    return opened


def mapped(
    paths: Sequence[Path | str],
    plant: Plant,
    mapping: Mapping | None = None,
    rules: Sequence[SourceRule] | None = None,
) -> list[tuple[LogPath, Mapping | None, Path | None]]:
    """Each log with its mapping, and the file that a rule of the plant names for it."""
    if rules is None:
        rules = plant_sources(plant.source) if mapping is None and Path(plant.source).is_file() else ()
    loaded: dict[Path, Mapping] = {}
    found: list[tuple[LogPath, Mapping | None, Path | None]] = []
    for log in log_paths(paths):
        rule = next((rule for rule in rules if rule.matches(str(log.file))), None) if mapping is None else None
        named = rule.mapping if rule is not None else None
        if named is not None and named not in loaded:
            loaded[named] = load_mapping(named)
        found.append((log, mapping if named is None else loaded[named], named))
    return found


def is_events(log: LogPath, mapping: Mapping | None) -> bool:
    """Whether a log is audited events: a folder of them, or one file."""
    return log.path.is_dir() or (_suffix(log.file) == ".parquet" and not isinstance(mapping, CsvMapping))


def log_paths(paths: Sequence[Path | str]) -> list[LogPath]:
    """The logs that paths stand for, in order. SourceError where there is none.

    A folder without Parquet files (with them it is an audit) stands for its files, by name; so does a pattern with `*`
    or `?` that is no file's name. A zip archive stands for its members.
    """
    found: list[LogPath] = []
    for one in paths:
        path = Path(one)
        if path.is_dir() and not next(path.rglob("*.parquet"), None):
            files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        elif not path.exists() and any(mark in str(one) for mark in "*?["):
            files = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor) if path.anchor else path)))
        else:
            files = [path]
        if not files:
            raise SourceError(f"{path}: there are no files in it; check the path")
        for file in files:
            if file.suffix.lower() == ".zip" and file.is_file():
                found += [LogPath(file, member=member) for member in members(file)]
            else:
                found.append(LogPath(file))
    return found


def _sheets(log: LogPath, mapping: Mapping | None) -> list[LogPath]:
    """A workbook's sheets: those the mapping names, else all that have its columns."""
    if _suffix(log.file) not in WORKBOOKS or not isinstance(mapping, CsvMapping):
        return [log]
    there = sheets(log.path)
    for name in mapping.form.sheets:
        if name not in there:
            raise SourceError(f'{log.path}: there is no sheet "{name}" ({", ".join(there)}); correct csv.sheets')
    named = [LogPath(log.path, sheet=name) for name in mapping.form.sheets or there]
    return (
        named if mapping.form.sheets or len(named) == 1 else [one for one in named if fits(one, mapping)] or named[:1]
    )


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
