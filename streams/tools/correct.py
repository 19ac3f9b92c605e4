"""An operator's later word, as an event: checked as the worker will check it, then sent to the events topic.

What a person enters is an event like any other, so that a replay gives what the plant has seen. `by` is an opaque id,
and of a note only a salted hash is sent: the audit forgets nothing. Whoever keeps the note keeps its salt with it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from streams import clock
from streams.client import Client
from streams.settings import Settings
from streams.tools.feed import feed
from twin.plant.model import Line, Plant
from twin.time.rfc3339 import parse_rfc3339, rfc3339
from twin.wire.decode import Decoder

VERBS: Final = ("stop", "split", "reason", "count", "order", "undo")
# How long the first view of a line may take: it is read from a compacted topic.
VIEW_S: Final = 10.0
_DIGITS_OF_A_TIME: Final = 16  # as twin.line.correction has it: no source counts that far
_OF: Final = {
    "stop": ("reason", "state", "cause"),
    "split": ("reason", "state", "cause"),
    "reason": ("reason", "state", "cause"),
    "count": ("good", "scrap", "rework", "counter", "value", "order", "cause"),
    "order": ("action", "order", "product", "quantity", "due", "cause"),
    "undo": ("cause",),
}


class CorrectionError(RuntimeError):
    """What cannot be said or can no longer be corrected; says what to do."""


@dataclass(frozen=True, slots=True)
class Salted:
    """A note as it may be sent, and what has to be kept beside the note to prove it."""

    note: str  # SHA-256 of salt and text, hexadecimal
    salt: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The event that was sent, and until what time of the line the event that it is about can be corrected."""

    event: dict[str, Any]
    line_ns: int  # where the line stood
    until_ns: int | None  # event time; None: what is corrected is named by its number
    salt: str | None


def salted(text: str, salt: str | None = None) -> Salted:
    """Salt: hexadecimal; absent: a new one."""
    salt = secrets.token_hex(16) if salt is None else salt
    return Salted(hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest(), salt)


def event_of(verb: str, said: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """The event of a verb. `said`: its fields, `corrects` (what is meant) and `at` (when it was). `now_ns`: the line's
    time, at which a correction is said. Raises CorrectionError.

    A split is a state event within the stop; a count or an order without `corrects` is one that was never sent.
    """
    fields = {name: said[name] for name in _OF[verb] if said.get(name) is not None}
    head = {"line": said["line"], "station": said.get("station")}
    about, at = said.get("corrects"), said.get("at")
    if verb in ("stop", "reason", "undo"):
        if about is None:
            raise CorrectionError(f"{verb}: say which event with --event: its seq, epoch/seq or time")
        kind: dict[str, Any] = {"type": "correction", "ts": now_ns, "corrects": about}
        kind |= {} if verb == "reason" else {"verb": verb}
    elif verb == "split":
        if at is None or "state" not in fields:
            raise CorrectionError("split: say when the other part begins with --at, and with --state its word")
        kind = {"type": "state", "ts": at}
    elif verb == "count" and about is not None and at is None and "counter" not in fields:
        kind = {"type": "correction", "ts": now_ns, "corrects": about}
    else:
        # In the place of the event: at the same time unless another one is said.
        when = at if at is not None else _time(about)
        if when is None:
            raise CorrectionError(f"{verb}: say with --at when it was; an event's number does not tell")
        kind = {"type": verb, "ts": when, "corrects": about}
        if verb == "order":
            fields.setdefault("action", "start")
    who = {"by": said["by"], "entered": clock.now_ns(), "note": said.get("note")}
    return {name: value for name, value in {**kind, **head, **fields, **who}.items() if value is not None}


def _time(text: str | None) -> int | None:
    """The time that names an event; None where a number does."""
    if text is None or (text.replace("/", "").isdecimal() and len(text) < _DIGITS_OF_A_TIME):
        return None
    try:
        return int(text) if text.isdecimal() else parse_rfc3339(text)
    except ValueError as error:
        raise CorrectionError(f"{text!r}: {error}") from error


def until(line: Line, event: Mapping[str, Any], newest_ns: int) -> int | None:
    """Event time of the line until which what the event is about can be corrected; None: it has a number, no time.

    Raises CorrectionError: it is too late, or the line keeps nothing.
    """
    if line.revise_ns is None:
        raise CorrectionError(
            f"line {line.id} has no `revise` time in the plant file: its rows are not written again, so nothing can be "
            'corrected; give it one, such as revise = "8h"'
        )
    about = [event["ts"]] if event["type"] != "correction" else []
    named = _time(event.get("corrects"))
    about += [] if named is None else [named]
    if not about:
        return None
    last: int = min(about) + line.lateness_ns + line.revise_ns
    if last < newest_ns:
        raise CorrectionError(
            f"line {line.id} stands at {rfc3339(newest_ns)}: what was at {rfc3339(min(about))} could be corrected "
            f"until {rfc3339(last)} (its `lateness` and `revise`)"
        )
    return last


def check(plant: Plant, event: Mapping[str, Any]) -> bytes:
    """The event as JSON. Raises CorrectionError with the sentence with which the worker would refuse it."""
    value = msgspec.json.encode(dict(event))
    _, refused = Decoder(plant).decode([value], [0])
    if refused:
        raise CorrectionError(f"{refused[0].reason}: {refused[0].detail}")
    return value


async def newest_of(settings: Settings, line: str) -> int:
    """Where the line stands: ts of its newest event. Raises CorrectionError."""
    async with Client(settings) as client:
        try:
            async with asyncio.timeout(VIEW_S):
                async for view in client.lines(line):
                    return view.newest_ns
        except TimeoutError:
            pass
    raise CorrectionError(
        f"{settings.topic('lines')} says nothing of line {line}: nobody knows what can still be corrected; is a worker "
        "running? `twin watch` shows the lines, and --now TIME says where one stands"
    )


async def correct(
    plant: Plant, settings: Settings, verb: str, said: Mapping[str, Any], *, now_ns: int | None, send: bool
) -> Sent:
    """Say it. `now_ns`: where the line stands; absent: as its view says. Raises CorrectionError and FeedError."""
    line = next((one for one in plant.lines if one.id == said["line"]), None)
    if line is None:
        known = ", ".join(one.id for one in plant.lines[:8])
        raise CorrectionError(f"line {said['line']} is not in the plant file: {known}")
    newest = await newest_of(settings, line.id) if now_ns is None else now_ns
    text = said.get("note")
    hashed = None if text is None else salted(text)
    event = event_of(verb, {**said, "note": hashed and hashed.note}, newest)
    value = check(plant, event)
    last = until(line, event, newest)
    if send:
        block, _ = Decoder(plant).decode([value], [0])
        await feed([(block, [])], plant, settings=settings)
    return Sent(event, newest, last, hashed.salt if hashed else None)
