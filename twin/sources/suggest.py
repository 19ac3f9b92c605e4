"""A draft of a mapping and of a plant from a log nobody has described, for a person to correct.

Nothing here decides a figure: what is written is what is used, and everything doubtful is named in `edit`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.sources import log_paths
from twin.sources.bind import LogPath
from twin.sources.draft_plant import Draft, Drafter
from twin.sources.draft_rows import DraftRows
from twin.sources.draft_table import Alike, columns_key, draft_table, span_of
from twin.sources.draft_tags import draft_tags, tag_columns, wide_columns, wide_rules
from twin.sources.roles import role_of, tokens
from twin.sources.sniff import Sniffed, TimeGuess, beginning, header_of, quoted, sniff, times
from twin.sources.source import SourceError, stem
from twin.sources.typed_tables import WORKBOOKS, open_book, sheets

I64 = npt.NDArray[np.int64]
_DISORDER_S: Final = 60  # more than that, and rows are sorted
_MOST_FLAGS: Final = 2
_FEW_FILES: Final = 10
_TURNS: Final = 0.1  # of the rows of files side by side follow one of the other file


def suggest(paths: Sequence[Path | str], zone: str | None = None) -> Draft:
    """Draft from the first of these logs. SourceError where it cannot be read, or says nothing about time."""
    log, *others = log_paths(paths)
    suffix = Path(log.file.name.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    alike = Alike()
    if suffix in WORKBOOKS:
        log, named = _sheet(log)
        alike = Alike(tuple(named), "{sheet}")
    drafter = Drafter(log.file.name)
    drafter.zone = zone or "UTC"
    found = sniff(log, sheet=log.sheet is not None or suffix == ".parquet")
    if found.shdr:
        _shdr(drafter, beginning(log), stem(log.file))
        return drafter.draft()
    guesses = times(found, zone)
    drafter.edit += found.doubts
    if others and guesses and not alike.names:
        alike = _files(drafter, [log, *others], found, guesses[0], zone)
    _table(drafter, found, guesses, stem(log.file), zone, alike)
    return drafter.draft()


def _has_times(log: LogPath) -> bool:
    try:
        return bool(times(sniff(log, sheet=True), None))
    except SourceError:
        return False


def _files(drafter: Drafter, logs: Sequence[LogPath], first: Sniffed, time: TimeGuess, zone: str | None) -> Alike:
    """Of several files whether each is of a machine of its own: the times of two lie side by side."""
    ends = logs[0].file.suffix.lower()
    alike = [log for log in logs if log.file.suffix.lower() == ends]
    for log in alike[1:_FEW_FILES]:
        try:
            other = sniff(log, sheet=ends == ".parquet")
            guesses = times(other, zone) if other.names == first.names else []
        except SourceError:
            continue
        second = next((one for one in guesses if one.columns == time.columns), None)
        if second is None or not second.ok.any() or not time.ok.any():
            continue
        if _side_by_side(time.ts[time.ok], second.ts[second.ok]):
            drafter.edit.append(
                "mapping.toml station: whether each file is of a machine of its own, named as the file is"
            )
            return Alike(tuple(dict.fromkeys(stem(one.file) for one in alike)), "{file}")
    return Alike()


def _side_by_side(one: I64, two: I64) -> bool:
    """Whether the rows of two files take turns in time, more often than pieces of one log do."""
    begin, end = max(one.min(), two.min()), min(one.max(), two.max())
    whole, own = np.concatenate([one, two]), np.repeat([0, 1], [len(one), len(two)])
    within = (whole >= begin) & (whole <= end)
    own = own[within][np.argsort(whole[within], kind="stable")]
    return len(own) > 1 and float((own[1:] != own[:-1]).mean()) > _TURNS


def _sheet(log: LogPath) -> tuple[LogPath, list[str]]:
    """The sheet with the most rows of those that have times, and all that have a header like it."""
    book = open_book(log.path)
    sizes = {name: book.get_sheet_by_name(name).total_height for name in sheets(log.path)}
    largest = sorted(sizes, key=lambda name: -sizes[name])
    chosen = next((name for name in largest if _has_times(LogPath(log.path, sheet=name))), largest[0])

    def header(name: str) -> list[str]:
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        at = header_of(LogPath(log.path, sheet=name))
        return [str(cell).strip() for cell in rows[at]] if at < len(rows) else []

    wanted = header(chosen)
    return LogPath(log.path, sheet=chosen), [name for name in sizes if header(name) == wanted]


def write(draft: Draft, folder: Path) -> tuple[Path, Path]:
    """The plant and the mapping as files of a folder that has neither. SourceError."""
    folder.mkdir(parents=True, exist_ok=True)
    plant, mapping = folder / "plant.toml", folder / "mapping.toml"
    for path, text in ((plant, draft.plant), (mapping, draft.mapping)):
        if path.exists():
            raise SourceError(f"{path}: is there already; name another folder, so that nothing is overwritten")
        path.write_text(text, encoding="utf-8")
    return plant, mapping


def _shdr(drafter: Drafter, text: str, name: str) -> None:
    values: dict[str, Counter[str]] = {}
    conditions: dict[str, int] = {}
    for line in text.splitlines():
        fields = line.split("|")[1:]
        if len(fields) == 6 and fields[1].strip().upper() in ("NORMAL", "WARNING", "FAULT"):
            conditions[fields[0].strip()] = conditions.get(fields[0].strip(), 0) + 1
        else:
            for item, value in zip(fields[::2], fields[1::2], strict=False):
                values.setdefault(item.strip(), Counter())[value.strip()] += 1
    state = next((item for item in values if tokens(item) and tokens(item)[-1] == "execution"), None)
    state = state or next((item for item in values if role_of(item, ("state",)) == "state"), None)
    if state is None:
        raise SourceError(f"{drafter.name}: no item looks like a state of execution; write the mapping by hand")
    station = drafter.station(name)
    station.words.update({word: count for word, count in values[state].items() if word.upper() != "UNAVAILABLE"})
    # What the file's first lines do not show: the words that MTConnect declares.
    station.words.update(dict.fromkeys(("ACTIVE", "READY", "STOPPED", "INTERRUPTED", "FEED_HOLD"), 0))
    drafter.line, drafter.lateness_s, drafter.jump_days = name, 60, 8
    drafter.head = ['format = "shdr"', f"station = {quoted(name)}", "", "[state]", f"item = {quoted(state)}"]
    mode = next((item for item in values if tokens(item)[-1:] == ["mode"] and item != state), None)
    if mode:
        drafter.head += ["", "[mode]", f"item = {quoted(mode)}"]
    if conditions:
        drafter.head += ["", "[reason]", f"items = [{', '.join(map(quoted, sorted(conditions)))}]"]
    drafter.edit.append("mapping.toml [state]: the item whose value is the state; [[count]]: items that count parts")


def _table(
    drafter: Drafter, found: Sniffed, guesses: list[TimeGuess], name: str, zone: str | None, alike: Alike
) -> None:
    form = [f"[csv]\n{found.keys}"] if found.keys else []
    names = [one for one in found.names if not any(one in guess.columns for guess in guesses)]
    span = span_of(guesses)
    main = (span.begin if span.over else span.end) if span is not None else guesses[0] if guesses else None
    # Ends may be missing where something still goes on: the rows then have the time of their beginning.
    if span is not None and not span.over and (span.begin.ok & ~span.end.ok).any():
        main = span.begin
    if main is None:
        drafter.edit.append("mapping.toml [time]: rows have no time; `every`: how much later the next row is")
        time = '[time]\nevery = "1s"\norigin = "2026-01-01T00:00:00Z"'
        ts, ok = np.arange(len(found.rows.lines)) * 10**9, np.ones(len(found.rows.lines), bool)
    else:
        time = f"[time]\n{columns_key(main)}" + (f"\n{main.keys}" if main.keys else "")
        ts, ok = main.ts, main.ok
        if main.local and zone is None:
            drafter.edit.append('mapping.toml [time] zone: "UTC" is a guess; local times need their zone (or --zone)')
        if main.doubt:
            drafter.edit.append(f"mapping.toml {main.doubt}")
        if len(guesses) > 1 and span is None:
            others = ", ".join(" ".join(guess.columns) for guess in guesses[1:])
            drafter.edit.append(f"mapping.toml [time]: {others} would be a time, too")
    rows = DraftRows(found, names, ts, ok)
    drafter.lateness_s, drafter.jump_days, drafter.staleness_s = rows.lateness_s(), rows.jump_days(), rows.silence_s()
    if span is not None:
        # Its events are sorted by themselves; a stop, or the work between two, may take as long as the log shows.
        drafter.lateness_s = 0.0
        drafter.staleness_s = max(rows.longest_s(), float(span.lengths.max(initial=0)) / 1e9 * 4 / 3)
    if main is not None and span is None and drafter.lateness_s > _DISORDER_S:
        time += "\nsort = true"
        drafter.lateness_s = 0.0
    if main is not None:
        _left_out(drafter, rows, main)
    tagged = tag_columns(rows)
    wide = wide_columns(rows) if tagged is None else {}
    if tagged is not None:
        draft_tags(drafter, rows, *tagged)
    elif wide:
        wide_rules(drafter, rows, wide)
    else:
        draft_table(drafter, rows, name, span, alike)
    drafter.head += ["", *form] if form else []
    drafter.head += ["", time]
    if not drafter.rules:
        drafter.event("heartbeat")
        drafter.edit.append("mapping.toml [[event]]: no column looks like a state, a count or a cycle; name them")
        if not drafter.stations:
            drafter.station("station-1")
            drafter.head.insert(0, 'station = "station-1"')


def _left_out(drafter: Drafter, rows: DraftRows, main: TimeGuess) -> None:
    """Rows that are none of the table: sums by the word in the place of their time, and what a flag marks."""
    first = main.columns[0]
    words = [cell for cell, ok in zip(rows.found.cells(first)[: rows.n], rows.ok, strict=True) if not ok and cell]
    kinds = sorted({word for word in words if not any(c.isdigit() for c in word) and word != first})
    ignore = []
    if 0 < len(kinds) <= 5:
        ignore.append(f"{{ column = {quoted(first)}, in = [{', '.join(map(quoted, kinds))}] }}")
    flags = [name for name in rows.names if set(rows.cells(name)) == {"", "X"}][:_MOST_FLAGS]
    for name in flags:
        rows.used.add(name)
        often = rows.cells(name).count("X") > len(rows.cells(name)) / 2
        if often:
            drafter.head.append(f'keep = {{ column = {quoted(name)}, equals = "X" }}')
        else:
            ignore.append(f'{{ column = {quoted(name)}, equals = "X" }}')
        drafter.edit.append(
            f"mapping.toml: whether rows marked X under {name} are {'all that count' if often else 'none'}"
        )
    if ignore:
        drafter.head.append(f"ignore = [{', '.join(ignore)}]")
