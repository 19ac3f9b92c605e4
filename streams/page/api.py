"""The read-only API: what the page shows, for programs, too. One table of routes makes handlers and OpenAPI."""

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from streams import clock
from streams.client import Settings
from streams.page import rows
from streams.page.devices import Devices
from streams.page.privacy import privacy
from streams.page.stops import now_of, reasons, stops
from streams.page.tiles import Tiles
from twin.report import ReportError
from twin.report.build import report
from twin.report.factors import load as load_factors
from twin.report.files import BINARY, as_bytes
from twin.report.html import (
    against_target,
    bottleneck,
    doubts,
    formula,
    health,
    ideal_said,
    ratios,
    sentence,
)
from twin.report.lost import greatest
from twin.report.rows import dicts, select
from twin.report.said import labels_of
from twin.report.sections import SECTIONS, charts, has
from twin.report.spans import local, site_of
from twin.report.tables import DIALECTS, EVIDENCE, NAMES, for_people, shaped, table
from twin.report.why import why
from twin.report.words import LANGUAGES, WORDS, word
from twin.time.rfc3339 import parse_rfc3339, rfc3339

JSON: Final = "application/json"
KINDS: Final = ("shift", "day", "week", "order", "span")
MOST_SPANS: Final = 100
SPANS_NS: Final = 100 * 86_400 * 10**9  # so far back the picker goes
MOST_RECOMPUTED_NS: Final = 8 * 86_400 * 10**9
RECOMPUTE_LIMIT_S: Final = 50.0
Query = Mapping[str, str]
Answer = tuple[str, bytes]  # content type and body


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    doc: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """GET `path`; `run` is called in a thread with the query and the Accept header."""

    path: str
    doc: str
    parameters: tuple[Parameter, ...]
    types: tuple[str, ...]
    run: Callable[[Query, str], Answer]


_LINE: Final = Parameter("line", "Line id.", required=True)
_LANG: Final = Parameter("lang", f"{' or '.join(LANGUAGES)}; absent: en.")
_AS_OF: Final = Parameter("as_of", "What was believed at this event time, RFC 3339; absent: now.")
_SPAN: Final = (
    Parameter(
        "shift", 'Local date and id, such as "2026-03-28 night"; one of the five is needed, or none: the newest.'
    ),
    Parameter("day", "Production day, such as 2026-03-28."),
    Parameter("week", "ISO week, such as 2026-W13."),
    Parameter("order", "Order id, once it has ended."),
    Parameter("span", "Two instants, RFC 3339, with a slash between."),
    _AS_OF,
)


class Api:
    """Answers out of an audit root and the tiles. Raises ReportError and AuditError."""

    def __init__(
        self,
        root: Path,
        tiles: Tiles,
        settings: Settings | None = None,
        devices: Devices | None = None,
        place: str = "",
        factors: Path | None = None,
    ) -> None:
        self._root, self._tiles = root, tiles
        self._place = place or str(root)  # by the name that people know
        self._settings, self._devices = settings, devices
        self._factors = factors  # read for every report: they may be revised meanwhile
        self._recomputing = threading.Lock()

    def routes(self) -> list[Route]:
        return [
            Route("lines", "Every line as its tile shows it: state, shift so far, marks.", (), (JSON,), self.lines),
            Route(
                "spans",
                "The shifts, days and orders of a line that have rows, newest first; and the one that goes on.",
                (_LINE,),
                (JSON,),
                self.spans,
            ),
            Route(
                "report",
                "A line over a span: sums, ratios, waterfall, losses, hours, orders, bottleneck, what it rests on.",
                (
                    _LINE,
                    *_SPAN,
                    Parameter("format", f"json, html, {', '.join((*DIALECTS, *BINARY))}; absent: json."),
                    Parameter("table", f"Of csv: {', '.join(NAMES)}."),
                    _LANG,
                ),
                (JSON, "text/html", rows.CSV, *BINARY.values()),
                self.report,
            ),
            Route(
                "view",
                "The same for people: texts, tables and charts as SVG.",
                (
                    _LINE,
                    *_SPAN,
                    Parameter("station", "Losses of this station only."),
                    Parameter("by", "count: losses by how often they were; absent: by minutes."),
                    _LANG,
                ),
                (JSON,),
                self.view,
            ),
            Route(
                "why",
                "A row of kpis, its revisions, the policies, OEE counted otherwise, and what lies under it.",
                (
                    _LINE,
                    Parameter("station", "Station id; absent: the line."),
                    Parameter("window", "A window's id, or shift, day, order; absent: only what lies in the span."),
                    Parameter("start", "RFC 3339.", required=True),
                    Parameter("end", "RFC 3339.", required=True),
                    _LANG,
                ),
                (JSON,),
                self.why,
            ),
            Route(
                "recompute",
                "Computes a line's rows of a span again from the stored events, here and now, and compares them.",
                (
                    _LINE,
                    Parameter("start", "RFC 3339.", required=True),
                    Parameter("end", "RFC 3339.", required=True),
                ),
                (JSON,),
                self.recompute,
            ),
            Route(
                "rows",
                "Rows of a set, oldest first, a page at a time (`next` is the skip of the page that follows).",
                (
                    Parameter(
                        "set",
                        "events, states, kpis, bottlenecks, alerts, measures, samples or rejected.",
                        required=True,
                    ),
                    Parameter("line", "Only this line's."),
                    Parameter("from", "RFC 3339: only rows that reach beyond it."),
                    Parameter("to", "RFC 3339, not included."),
                    *(Parameter(name, "Only rows with this value; empty: without one.") for name in rows._FILTERS),
                    _AS_OF,
                    Parameter("revisions", "true: all revisions, not the newest."),
                    Parameter("limit", f"At most {rows.MOST_ROWS:,}; absent: {rows.DEFAULT_ROWS:,}."),
                    Parameter("skip", "Rows to leave out from the beginning."),
                ),
                (JSON, rows.CSV, rows.ARROW),
                self.rows,
            ),
            Route(
                "stops",
                "The stops of a station, what reasons there are to give, and until when each can be corrected.",
                (_LINE, Parameter("station", "Station id; absent: the line's constraint."), _LANG),
                (JSON,),
                self.stops,
            ),
            Route(
                "privacy",
                "What may relate to a person: where it lies, how long, who sees it.",
                (_LANG,),
                (JSON,),
                self.privacy,
            ),
            Route("words", "The page's words in a language.", (_LANG,), (JSON,), self.words),
        ]

    def lines(self, _query: Query, _accept: str) -> Answer:
        tiles = [tile for name in self._tiles.names() if (tile := self._tiles.tile(name)) is not None]
        return JSON, _json({"site": self._tiles.site.site, "lines": tiles})

    def spans(self, query: Query, _accept: str) -> Answer:
        import pyarrow.compute as pc

        line = site_of(self._root).line(_needed(query, "line"))
        scopes = pc.field("window").isin(["shift", "day", "order"]) & pc.field("station").is_null()
        if line.id not in self._tiles.so_far:
            self._tiles.load()
        so_far = self._tiles.so_far.get(line.id)
        start = max(so_far.newest_ns - SPANS_NS, 0) if so_far else 0
        found = dicts(
            select(self._root, "kpis", start, line=line.id, where=scopes).select(
                ["window", "start", "end", "shift", "production_date", "order"]
            )
        )
        made: dict[str, list[dict[str, Any]]] = {"shift": [], "day": [], "order": []}
        for row in sorted(found, key=lambda row: int(row["end"]), reverse=True):
            label = row["production_date"] if row["window"] == "day" else row[row["window"]]
            kind = made[row["window"]]
            if label is not None and len(kind) < MOST_SPANS:
                kind.append({"label": str(label), "start": rfc3339(row["start"]), "end": rfc3339(row["end"])})
        running = None if so_far is None else {"kind": so_far.span.kind, "label": so_far.span.label}
        return JSON, _json({"line": line.id, "current": running, **made})

    def _report(self, query: Query) -> dict[str, Any]:
        line = _needed(query, "line")
        kinds = [kind for kind in KINDS if query.get(kind)]
        if len(kinds) > 1:
            raise ReportError(f"{' and '.join(kinds)}: give one of them")
        as_of = _instant(query, "as_of") if query.get("as_of") else None
        factors = None if self._factors is None else load_factors(self._factors)
        if kinds:
            return report(self._root, line, kinds[0], query[kinds[0]], as_of_ns=as_of, factors=factors)
        if line not in self._tiles.so_far:
            self._tiles.load()  # nobody has yet, or the line has just begun
        so_far = self._tiles.so_far.get(line)
        if so_far is None:
            site_of(self._root).line(line)  # says so where there is no such line
            raise ReportError(f"line {line}: no row yet")
        return report(self._root, line, so_far.span.kind, so_far.span.label, as_of_ns=as_of, factors=factors)

    def report(self, query: Query, _accept: str) -> Answer:
        form = query.get("format", "json")
        body = as_bytes(self._report(query), form, query.get("table", "pareto"), _language(query))
        if form in BINARY:
            return BINARY[form], body
        return {"html": "text/html", "json": JSON}.get(form, rows.CSV) + "; charset=utf-8", body

    def view(self, query: Query, _accept: str) -> Answer:
        language = _language(query)
        found = self._report(query)
        _chosen(found, query)
        zone = found["zone"]
        tables: dict[str, Any] = {}
        for name in NAMES:
            tables[name] = for_people(table(found, name, language), zone, language)
        said = {
            "sentence": sentence(found, language),
            "ratios": ratios(found["total"], language),
            "target": against_target(found, language),
            "greatest": greatest(found, language),
            "bottleneck": bottleneck(found, language),
            "doubts": doubts(found, language),
            "health": health(found, language),
        }
        sections = [
            {
                "id": one.id,
                "title": word(one.title, language),
                "note": word(one.note, language) if one.note else None,
                "charts": charts(one, found, language),
                "texts": one.texts(found, language) if one.texts else [],
            }
            for one in SECTIONS
            if has(one, found)
        ]
        kept = {
            key: found[key]
            for key in ("site", "line", "area", "zone", "span", "as_of", "settled", "health", "proof", "total")
        }
        rows_of = [
            {key: row[key] for key in ("window", "start", "end", "station", "shift", "order", "revision")}
            for name in ("shifts", "days", "orders")
            for row in found[name]
        ]
        kept["stations"] = [one["station"] for one in found["stations"]]
        kept["losses"] = [
            {
                "station": one["station"],
                "start": one["longest_start"],
                "end": rfc3339(parse_rfc3339(one["longest_start"]) + one["longest_ns"]),
            }
            for one in found["pareto"]
        ]
        # A workbook needs an optional package; the page offers none where it is missing.
        kept["formats"] = list(BINARY) if find_spec("xlsxwriter") else []
        return JSON, _json({**kept, "said": said, "tables": tables, "sections": sections, "rows": rows_of})

    def why(self, query: Query, _accept: str) -> Answer:
        start, end = _instant(query, "start"), _instant(query, "end")
        window, station = query.get("window", ""), query.get("station") or None
        found = why(self._root, _needed(query, "line"), station, window, start, end)
        site, language = site_of(self._root), _language(query)
        zone = site.line(found["line"]).calendar.zone
        labels = labels_of(site.plant(found["line"]).reasons)
        found |= {"zone": zone, "start_local": local(zone, start), "end_local": local(zone, end), "said": None}
        if "planned_ns" in found:
            found["said"] = ratios({**found, **found["ratios"]}, language)
            found["formula"] = formula(found, language)
        if found.get("known_until"):
            until = local(zone, parse_rfc3339(found["known_until"]))
            found["settled_said"] = f"{word('provisional', language)}, {word('known_until', language)} {until}"
        if found["row"] is not None:
            until = local(zone, parse_rfc3339(found["revisable_until"]))
            found["settled_said"] = word("settled" if found["final"] else "revisable", language) + f" {until}" * (
                not found["final"]
            )
            found["ideal_said"] = ideal_said(found["ideal"], zone, language)
        tables = {
            name: for_people(shaped(name, found[name], language, labels), zone, language)
            for name in EVIDENCE
            if name in found
        }
        return JSON, _json({**found, "tables": tables})

    def recompute(self, query: Query, _accept: str) -> Answer:
        """In a process of its own, one at a time: the page stays quick and small."""
        start, end = _instant(query, "start"), _instant(query, "end")
        line = site_of(self._root).line(_needed(query, "line")).id
        if not 0 <= end - start <= MOST_RECOMPUTED_NS:
            raise ReportError(f"from 0 to {MOST_RECOMPUTED_NS // 86_400 // 10**9} days at a time; take the command")
        if not self._recomputing.acquire(blocking=False):
            raise ReportError("somebody else's figure is being computed; try again in a moment")
        try:
            begun = clock.monotonic_s()
            command = [sys.executable, "-P", "-m", "streams.cli", "audit", "recompute", str(self._root)]
            command += ["--line", line, "--from", rfc3339(start), "--to", rfc3339(end), "--json"]
            done = subprocess.run(command, capture_output=True, timeout=RECOMPUTE_LIMIT_S, check=False)  # noqa: S603
            try:
                found = msgspec.json.decode(done.stdout, type=dict[str, Any])
            except msgspec.DecodeError:
                said = done.stderr.decode(errors="replace").strip().splitlines()
                raise ReportError(f"not computed: {said[-1] if said else done.returncode}") from None
        except subprocess.TimeoutExpired:
            raise ReportError(f"not done within {RECOMPUTE_LIMIT_S:.0f} s; take the command") from None
        finally:
            self._recomputing.release()
        rows = sum(count for what, count in found["checked"].items() if what.endswith("rows compared"))
        events, seconds = found["checked"].get("events folded", 0), clock.monotonic_s() - begun
        kept = {name: found[name] for name in ("sound", "notes", "differences")}
        return JSON, _json({**kept, "rows": rows, "events": events, "seconds": round(seconds, 1)})

    def rows(self, query: Query, accept: str) -> Answer:
        return rows.page(self._root, _needed(query, "set"), query, accept)

    def stops(self, query: Query, _accept: str) -> Answer:
        site = site_of(self._root)
        line, language = site.line(_needed(query, "line")), _language(query)
        if line.id not in self._tiles.so_far:
            self._tiles.load()
        so_far, seen = self._tiles.so_far.get(line.id), self._tiles.live.lines.get(line.id)
        if so_far is None:
            raise ReportError(f"line {line.id}: no row yet")
        station = query.get("station") or so_far.constraint or line.stations[0].id
        newest = seen.view.newest_ns if seen else so_far.newest_ns
        now = now_of(self._tiles.live, self._tiles, line.id, station, newest)
        found = stops(self._root, line, station, now, language)
        said = reasons(self._root, site, line, station, newest, language)
        head = {"line": line.id, "station": station, "zone": line.calendar.zone, "state": now.state}
        kept = {"revise": line.revise_ns is not None, "newest": rfc3339(newest), "live": seen is not None}
        return JSON, _json({**head, **kept, "stations": [one.id for one in line.stations], "reasons": said, **found})

    def privacy(self, query: Query, _accept: str) -> Answer:
        return JSON, _json(privacy(self._place, self._settings, self._devices, _language(query)))

    def words(self, query: Query, _accept: str) -> Answer:
        place = LANGUAGES.index(_language(query))
        return JSON, _json({key: pair[place] for key, pair in WORDS.items()})


def _chosen(found: dict[str, Any], query: Query) -> None:
    """Losses as they are asked for: of a station, by minutes or by count."""
    if query.get("by", "minutes") not in ("count", "minutes"):
        raise ReportError(f"by={query['by']}: count or minutes")
    for name in ("pareto", "charged"):
        if query.get("station"):
            found[name] = [one for one in found[name] if one["station"] == query["station"]]
        if query.get("by") == "count":
            found[name] = sorted(found[name], key=lambda one: (-one["count"], -one["ns"]))


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _needed(query: Query, name: str) -> str:
    if not query.get(name):
        raise ReportError(f"{name}: is missing")
    return query[name]


def _instant(query: Query, name: str) -> int:
    try:
        return parse_rfc3339(_needed(query, name))
    except ValueError as error:
        raise ReportError(f"{name}={query[name]}: {error}") from error


def _language(query: Query) -> str:
    language = query.get("lang") or "en"
    if language not in LANGUAGES:
        raise ReportError(f"lang={language}: one of {', '.join(LANGUAGES)}")
    return language


def openapi(routes: list[Route], version: str) -> dict[str, Any]:
    """The document of these routes and of the stream, OpenAPI 3.1."""
    problem = {"description": "What is wrong with the question, and what there is instead.", "content": {JSON: {}}}
    paths: dict[str, Any] = {}
    for route in routes:
        paths[f"/api/v1/{route.path}"] = {
            "get": {
                "operationId": route.path,
                "summary": route.doc,
                "parameters": [
                    {
                        "name": one.name,
                        "in": "query",
                        "required": one.required,
                        "description": one.doc,
                        "schema": {"type": "string"},
                    }
                    for one in route.parameters
                ],
                "responses": {
                    "200": {"description": "The answer.", "content": {kind: {} for kind in route.types}},
                    "400": problem,
                    "503": {"description": "The audit root cannot be read.", "content": {JSON: {}}},
                },
            }
        }
    paths["/api/v1/stream"] = {
        "get": {
            "operationId": "stream",
            "summary": "Server-sent events: `lines` (all first, then what of them changed) and `beat` every 5 s.",
            "responses": {"200": {"description": "The stream.", "content": {"text/event-stream": {}}}},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "taktwin page",
            "version": version,
            "description": "Read-only. Instants are RFC 3339 in UTC with nine digits, durations integers of ns.",
        },
        "paths": paths,
    }
