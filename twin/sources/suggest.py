"""A draft of a mapping and of a plant from a log nobody has described, for a person to correct.

Nothing here decides a figure: what is written is what is used, and everything doubtful is named in `edit`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.sources import log_paths
from twin.sources.bind import LogPath
from twin.sources.draft_plant import Draft, Drafter
from twin.sources.draft_rows import MANY, DraftRows
from twin.sources.roles import counts_on, role_of, tokens, whole_numbers
from twin.sources.sniff import Sniffed, TimeGuess, beginning, quoted, sniff, times
from twin.sources.source import SourceError, stem
from twin.sources.typed_tables import WORKBOOKS, sheets

I64 = npt.NDArray[np.int64]
_STARTS: Final = ("start", "started", "begin", "in", "beginn", "anfang", "enter")
_ENDS: Final = ("end", "finish", "finished", "stop", "out", "done", "ende", "complete", "completed", "exit", "fertig")


def suggest(paths: Sequence[Path | str], zone: str | None = None) -> Draft:
    """Draft from the first of these logs. SourceError where it cannot be read, or says nothing about time."""
    log = log_paths(paths)[0]
    suffix = Path(log.file.name.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    if suffix in WORKBOOKS:
        log = LogPath(log.path, sheet=sheets(log.path)[0])
    drafter = Drafter(log.file.name)
    drafter.zone = zone or "UTC"
    found = sniff(log, sheet=log.sheet is not None or suffix == ".parquet")
    if found.shdr:
        _shdr(drafter, beginning(log), stem(log.file))
        return drafter.draft()
    guesses = times(found, zone)
    drafter.edit += found.doubts
    _table(drafter, found, guesses, stem(log.file), zone)
    return drafter.draft()


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


def _table(drafter: Drafter, found: Sniffed, guesses: list[TimeGuess], name: str, zone: str | None) -> None:
    form = [f"[csv]\n{found.keys}"] if found.keys else []
    names = [one for one in found.names if not any(one in guess.columns for guess in guesses)]
    begin = next((guess for guess in guesses if role_of(" ".join(guess.columns), ("begin",)) == "begin"), None)
    end = next((guess for guess in guesses if role_of(" ".join(guess.columns), ("end",)) == "end"), None)
    if begin is end:
        begin = end = None
    main = end or (guesses[0] if guesses else None)
    if main is None:
        drafter.edit.append("mapping.toml [time]: rows have no time; `every`: how much later the next row is")
        time = '[time]\nevery = "1s"\norigin = "2026-01-01T00:00:00Z"'
        ts, ok = np.arange(len(found.rows.lines)) * 10**9, np.ones(len(found.rows.lines), bool)
    else:
        time = f"[time]\n{_columns(main)}" + (f"\n{main.keys}" if main.keys else "")
        ts, ok = main.ts, main.ok
        if main.local and zone is None:
            drafter.edit.append('mapping.toml [time] zone: "UTC" is a guess; local times need their zone (or --zone)')
        if main.doubt:
            drafter.edit.append(f"mapping.toml {main.doubt}")
        if len(guesses) > 1 and begin is None:
            others = ", ".join(" ".join(guess.columns) for guess in guesses[1:])
            drafter.edit.append(f"mapping.toml [time]: {others} would be a time, too")
    rows = DraftRows(found, names, ts, ok)
    drafter.lateness_s, drafter.jump_days, drafter.staleness_s = rows.lateness_s(), rows.jump_days(), rows.silence_s()
    tag, value = rows.role("tag"), rows.role("value")
    wide = _wide(rows)
    if tag and value and len(set(rows.cells(tag))) > 1:
        _tags(drafter, rows, tag, value)
    elif wide:
        _wide_rules(drafter, rows, wide)
    else:
        _one(drafter, rows, name, begin, end)
    drafter.head += ["", *form] if form else []
    drafter.head += ["", time]
    if not drafter.rules:
        drafter.event("heartbeat")
        drafter.edit.append("mapping.toml [[event]]: no column looks like a state, a count or a cycle; name them")
        if not drafter.stations:
            drafter.station("station-1")
            drafter.head.insert(0, 'station = "station-1"')


def _columns(guess: TimeGuess) -> str:
    if len(guess.columns) == 1:
        return f"column = {quoted(guess.columns[0])}"
    return f"columns = [{', '.join(map(quoted, guess.columns))}]"


def _count(
    drafter: Drafter,
    rows: DraftRows,
    station: str,
    column: str,
    name: str,
    quality: str,
    *more: str,
    running: bool = True,
) -> None:
    """A count rule for a column of whole numbers: a counter, or parts of the row."""
    values = rows.whole(column)
    assert values is not None
    one = drafter.station(station)
    if running and counts_on(values):
        one.counters.setdefault(name, quality)
        drafter.event("count", *more, f"counter = {quoted(name)}", f"value = {{ column = {quoted(column)} }}")
    else:
        drafter.event("count", *more, f"{quality} = {{ column = {quoted(column)} }}")
    if quality == "good":
        one.cycle_s = _pace(rows, column, running and counts_on(values)) or one.cycle_s


def _pace(rows: DraftRows, column: str, counter: bool) -> float | None:
    cells = rows.cells(column)
    numbers = rows.found.form.numbers
    values = np.array([float(n) if (n := numbers.read(cell)) is not None else np.nan for cell in cells])
    times = rows.times()[: len(values)].astype(float) / 1e9
    if counter:
        moved = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
        values, times = values[moved], times[moved]
        made = np.diff(values)
    else:
        made = values[1:]
    steps = np.diff(times)
    fine = (made > 0) & (steps > 0)
    return float(f"{np.quantile(steps[fine] / made[fine], 0.1):.3g}") if fine.sum() >= 5 else None


def _one(drafter: Drafter, rows: DraftRows, name: str, begin: TimeGuess | None, end: TimeGuess | None) -> None:
    """One station a row, named by a column or by the file."""
    column = rows.role("station", fits="few")
    station = name
    if column:
        rows.used.add(column)
        for word in sorted(set(rows.cells(column)) - {""}):
            drafter.station(word)
        drafter.head.append(f"station = {{ column = {quoted(column)} }}")
        station = next(iter(drafter.stations))
    else:
        drafter.station(station)
        drafter.head.append(f"station = {quoted(station)}")
    _columns_of_one(drafter, rows, station, column, begin, end)
    if column:
        first = drafter.stations[station]
        for other in drafter.stations.values():
            other.words.update(first.words)
            other.counters.update(first.counters)
            other.cycle_s = other.cycle_s or first.cycle_s


def _by_station(drafter: Drafter, rows: DraftRows, column: str | None) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Each station of the draft and its rows."""
    if column is None:
        return [(name, np.ones(len(rows.times()), bool)) for name in drafter.stations]
    cells = np.array(rows.cells(column))
    return [(name, cells == name) for name in drafter.stations]


def _columns_of_one(
    drafter: Drafter,
    rows: DraftRows,
    station: str,
    column: str | None,
    begin: TimeGuess | None,
    end: TimeGuess | None,
) -> None:
    phase = rows.role("phase", "state", fits="few")
    pairs = _phases(rows.cells(phase)) if phase else None
    unit = rows.role("unit")
    if phase and pairs:
        rows.used |= {phase, unit or ""}
        table = ", ".join(f"{quoted(word)} = {quoted(which)}" for word, which in pairs.items())
        phases = [f"phase = {{ column = {quoted(phase)}, lookup = {{ {table} }} }}"]
        drafter.event("cycle", *phases, *([f"unit = {{ column = {quoted(unit)} }}"] if unit else []))
        drafter.by_cycle = True
        words = np.array([pairs.get(word, "") for word in rows.cells(phase)])
        for name, own in _by_station(drafter, rows, column):
            ts = rows.times()
            drafter.station(name).cycle_s = rows.cycle_s(
                np.sort(ts[own & (words == "start")]), np.sort(ts[own & (words == "end")])
            )
    state = rows.role("state", fits="few") if not pairs else None
    reason = rows.role("reason", fits="text")
    if state is None and begin is not None and reason is not None:
        # A list of stops: what is not in it was running.
        drafter.station(station).words.update({"STOP": 1, "RUN": 1})
        drafter.event("state", f"time = {{ {_inline(begin)} }}", f"until = {{ {_inline(end)} }}", 'state = "STOP"')
        drafter.rules[-1] += f'\notherwise = "RUN"\nreason = {{ column = {quoted(reason)} }}'
        drafter.edit.append("mapping.toml [[event]]: whether the rows are stops, and the machine runs between them")
    elif state is not None and begin is not None and end is not None:
        rows.used.add(state)
        drafter.station(station).words.update(rows.cells(state))
        lines = [f"time = {{ {_inline(begin)} }}", f"until = {{ {_inline(end)} }}"]
        drafter.event("state", *lines, f"state = {{ column = {quoted(state)} }}")
    elif begin is not None and end is not None and _whole_of(rows, "good"):
        # A confirmation: what was made from the one time to the other.
        drafter.station(station).words.update({"RUN": 1})
        lines = [f"time = {{ {_inline(begin)} }}", f"until = {{ {_inline(end)} }}"]
        drafter.event("state", *lines, 'state = "RUN"')
        drafter.edit.append(
            "mapping.toml [[event]]: outside of the rows the state is unknown; `otherwise` names another"
        )
    elif begin is not None and end is not None:
        lines = [f"unit = {{ column = {quoted(unit)} }}"] if unit else []
        drafter.event("cycle", 'phase = "start"', f"time = {{ {_inline(begin)} }}", *lines)
        drafter.event("cycle", 'phase = "end"', *lines)
        drafter.by_cycle = True
        lengths = np.abs(end.ts - begin.ts)[begin.ok & end.ok & (end.ts > begin.ts)]
        if len(lengths) >= 5:
            drafter.station(station).cycle_s = float(f"{np.quantile(lengths, 0.1) / 1e9:.3g}")
    elif state is not None:
        rows.used.add(state)
        drafter.station(station).words.update(filter(None, rows.cells(state)))
        lines = [f"state = {{ column = {quoted(state)} }}"]
        drafter.event("state", *lines, *([f"reason = {{ column = {quoted(reason)} }}"] if reason else []))
    elif not pairs:
        _by_speed(drafter, rows, station)
    for quality in ("good", "scrap", "rework"):
        counted = _whole_of(rows, quality)
        if counted and not drafter.by_cycle:
            rows.used.add(counted)
            # A row with a beginning and an end says what was made between them.
            _count(drafter, rows, station, counted, counted, quality, running=begin is None)
    _order(drafter, rows)
    hold = rows.hold_s()
    if hold is not None and begin is None and not drafter.by_cycle and any('"state"' in rule for rule in drafter.rules):
        drafter.rules.insert(0, f'\n[sample]\nhold = "{hold:.9g}s"\ntolerance = "{hold / 2:.9g}s"')


def _of_role(rows: DraftRows, role: str) -> list[str]:
    return [name for name in rows.names if name not in rows.used and role_of(name, (role,)) == role]


def _whole_of(rows: DraftRows, role: str) -> str | None:
    return next((name for name in _of_role(rows, role) if rows.whole(name) is not None), None)


def _inline(guess: TimeGuess | None) -> str:
    if guess is None:
        return 'column = "?"'
    keys = [_columns(guess), *guess.keys.splitlines()]
    return ", ".join(keys)


def _phases(cells: Sequence[str]) -> dict[str, str] | None:
    """Words that begin and end something, where the column holds both and little else."""
    pairs = {}
    for word in sorted(set(filter(None, cells))):
        last = tokens(word)
        which = {"start" for part in last if part in _STARTS} | {"end" for part in last if part in _ENDS}
        if len(which) == 1:
            pairs[word] = which.pop()
    words = set(filter(None, cells))
    return pairs if set(pairs.values()) == {"start", "end"} and len(pairs) == len(words) else None


def _by_speed(drafter: Drafter, rows: DraftRows, station: str) -> None:
    speed = rows.role("speed")
    if speed is None:
        return
    words = drafter.station(station).words
    words.update({"running": 1, "stopped": 1})
    drafter.event("state", f"when = {{ column = {quoted(speed)}, blank = true }}", 'state = "unknown"')
    drafter.event("state", f"when = {{ column = {quoted(speed)}, above = 0 }}", 'state = "running"')
    drafter.event("state", f"when = {{ column = {quoted(speed)}, at_most = 0 }}", 'state = "stopped"')


def _order(drafter: Drafter, rows: DraftRows) -> None:
    order, product = rows.role("order"), rows.role("product", fits="few")
    if order is None or (drafter.by_cycle and len(set(rows.cells(order))) > MANY):
        return
    lines = [f"id = {{ column = {quoted(order)} }}"]
    if product:
        lines.append(f"product = {{ column = {quoted(product)} }}")
        drafter.products = sorted(set(filter(None, rows.cells(product))))[:MANY]
    drafter.rules.insert(0, "\n".join(["", "[order]", *lines]))
    drafter.orders = True


def _parts_of(name: str) -> tuple[str, str, str] | None:
    """A name as (text before the role, role, text behind it)."""
    pieces = list(re.finditer(r"[^\W_]+", name))
    for piece in reversed(pieces):
        role = role_of(piece[0], ("state", "good", "scrap", "rework", "speed"))
        if role:
            return name[: piece.start()], role, name[piece.end() :]
    return None


def _wide(rows: DraftRows) -> dict[str, dict[str, str]]:
    """Station -> role -> column, where columns of several stations are called alike."""
    found: dict[str, dict[str, str]] = {}
    for name in rows.names:
        parts = _parts_of(name)
        if parts is None:
            continue
        station = (parts[0] + parts[2]).strip(" _.:-/")
        if station:
            found.setdefault(station, {}).setdefault(parts[1], name)
    alike = {station: own for station, own in found.items() if "state" in own or "speed" in own or len(own) > 1}
    return alike if len(alike) > 1 else {}


def _wide_rules(drafter: Drafter, rows: DraftRows, wide: dict[str, dict[str, str]]) -> None:
    for station, columns in wide.items():
        own = f"station = {quoted(station)}"
        if "state" in columns:
            drafter.station(station).words.update(filter(None, rows.cells(columns["state"])))
            drafter.event("state", own, f"state = {{ column = {quoted(columns['state'])} }}")
        for quality in ("good", "scrap", "rework"):
            if quality in columns and rows.whole(columns[quality]) is not None:
                _count(drafter, rows, station, columns[quality], quality, quality, own)
    hold = rows.hold_s()
    if hold is not None:
        drafter.rules.insert(0, f'\n[sample]\nhold = "{hold:.9g}s"\ntolerance = "{hold / 2:.9g}s"')


def _tags(drafter: Drafter, rows: DraftRows, tag: str, value: str) -> None:
    cells, values = rows.cells(tag), rows.cells(value)
    shapes: dict[tuple[str, str, str], list[str]] = {}
    for name in sorted(set(cells)):
        pieces = list(re.finditer(r"[^\W_]+", name))
        parts = _parts_of(name)
        if parts is None or len(pieces) < 2:
            continue
        before = parts[0].rstrip("._/ -:[]")
        split = max(before.rfind(mark) for mark in "./:\\]") + 1
        shapes.setdefault((name[:split], parts[1], name[len(before) :]), []).append(before[split:])
    for (lead, role, tail), stations in shapes.items():
        form = f"station = {{ column = {quoted(tag)}, pattern = {quoted(lead + '{}' + tail)} }}"
        own = [v for name, v in zip(cells, values, strict=True) if name in {f"{lead}{one}{tail}" for one in stations}]
        for station in stations:
            if role == "state":
                drafter.station(station).words.update(filter(None, own))
            else:
                drafter.station(station)
        if role == "state":
            drafter.event("state", form, f"state = {{ column = {quoted(value)} }}")
            continue
        numbers = whole_numbers(own, rows.found.form.numbers)
        if role == "speed" or numbers is None:
            continue
        if (len(stations) == 1 and counts_on(numbers)) or numbers.max() > 1000:
            for station in stations:
                drafter.station(station).counters.setdefault(role, role)
            drafter.event("count", form, f"counter = {quoted(role)}", f"value = {{ column = {quoted(value)} }}")
        else:
            drafter.event("count", form, f"{role} = {{ column = {quoted(value)} }}")
            drafter.edit.append(f"mapping.toml: whether {lead}*{tail} are parts of the row or a running counter")
    for line in ("tags that no rule reads are left alone",):
        drafter.rules.append(f"\n# {line}")
