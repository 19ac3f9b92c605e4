"""Why an input is refused: every reason in one place. Docs, schemas, `twin doctor` and the proof take it from here.

A name is the `reason` of a row of the set `rejected` and of a record's header: it is never renamed. mypy holds every
refusal in the code against `Name`, a test holds `Name` against the register.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Name = Literal[
    "not_json",
    "not_arrow",
    "bad_utf8",
    "too_large",
    "wrong_type",
    "missing_field",
    "unknown_field_value",
    "unknown_line",
    "unknown_station",
    "unknown_type",
    "unknown_state",
    "unknown_counter",
    "unknown_measure",
    "unknown_buffer",
    "impossible_value",
    "bad_time",
    "late",
    "nothing_to_correct",
    "line_overfull",
    "jump_unconfirmed",
    "deleted_by_retention",
    "internal_error",
    "stale_epoch",
    "wrong_line_key",
]

WRONG_LINE_KEY: Final = "wrong_line_key"
INTERNAL_ERROR: Final = "internal_error"
DELETED_BY_RETENTION: Final = "deleted_by_retention"

# What decides: the record's bytes and the plant; the events of its line; or what is no part of the log.
Decided = Literal["record", "line", "outside"]


@dataclass(frozen=True, slots=True)
class Reason:
    """`outside`: its key, a fold that failed, or its lack did it, so that it cannot be computed again."""

    means: str
    advice: str  # what to do
    by: Decided = "record"

    @property
    def plain_advice(self) -> str:
        """Without the links of the docs."""
        return re.sub(r"\[([^]]+)\]\([^)]*\)", r"docs/\1", self.advice)


REASONS: Final[dict[Name, Reason]] = {
    "not_json": Reason(
        "empty, cut off or not JSON",
        "look at the bytes; check the serializer and the record size limit of the producer",
    ),
    "not_arrow": Reason(
        "a broken Arrow stream, or a column of a type that cannot hold its field",
        "close the writer before sending; send the type the sentence names",
    ),
    "bad_utf8": Reason(
        "invalid UTF-8, or half a surrogate pair",
        "encode texts as UTF-8",
    ),
    "too_large": Reason(
        "a record, an array, its orders, a text or the nesting are over their limit",
        "send smaller records",
    ),
    "wrong_type": Reason(
        "not an object, or a field of another type",
        'send the type of the table; no `5.0` or `"5"` for 5',
    ),
    "missing_field": Reason(
        "a needed field is absent or null",
        "send it",
    ),
    "unknown_field_value": Reason(
        "`phase` or `action` is neither `start` nor `end`",
        "use one of them",
    ),
    "unknown_line": Reason(
        "no such line in the plant model",
        "correct the gateway, or add the line to the model",
    ),
    "unknown_station": Reason(
        "the line has no such station",
        "likewise",
    ),
    "unknown_type": Reason(
        "no such event type",
        "use one of the nine",
    ),
    "unknown_state": Reason(
        "the station's `states` do not have the word",
        "add the word to the station's `states`",
    ),
    "unknown_counter": Reason(
        "the station has no such counter",
        "add the counter to the station",
    ),
    "unknown_measure": Reason(
        "the station, or the line, has no such measure",
        "as `unknown_counter`",
    ),
    "unknown_buffer": Reason(
        "the line has no such buffer",
        "add the buffer to the line",
    ),
    "impossible_value": Reason(
        "negative, beyond 64 bits, a level over the capacity, a counter at or over its modulus, parts and a counter "
        "in one event, an ideal cycle over a day, more parts in one count than 1,000,000,000 or than a year's work at"
        " the ideal cycle (a running counter that leaps further is held, [kpis.md](kpis.md#running-counters))",
        "correct the source, or the capacity or modulus in the model",
    ),
    "bad_time": Reason(
        "text in `ts` that is not RFC 3339, or has no offset; a `ts` before 2000 (before the plant's `earliest`) or "
        "from 2200 on. Mostly it is another unit, and the sentence says which it looks like",
        "write `2026-01-31T08:00:00.123Z`, or ns since 1970; for older logs set `earliest` in the plant model",
    ),
    "late": Reason(
        "behind the line's watermark by more than `revise`, older than the line's first event, or a `seq` more than "
        "1,024 behind the newest that may have been seen",
        "raise the line's `lateness` or `revise`, or send earlier",
        by="line",
    ),
    "nothing_to_correct": Reason(
        "a correction of an event that is not kept, or of none",
        "name the event's `seq` or exact time; give the line a `revise` time",
        by="line",
    ),
    "line_overfull": Reason(
        "1,048,576 events of the line wait for its time to move on, or 262,144 late ones for its next publishing "
        "tick, or 65,536 corrections of it stand",
        "check the source's clock: it sends one time for ever; send what is late more slowly",
        by="line",
    ),
    "jump_unconfirmed": Reason(
        "ahead of the line's time by more than `max_jump` or 30 min, or the line's first, and no later event "
        "confirmed it (at most 4,096 are held per line)",
        "check the source's clock",
        by="line",
    ),
    DELETED_BY_RETENTION: Reason(
        "Kafka deleted it before a worker read it: how many offsets, in the sentence",
        "keep events for longer (`twin topics apply`), or look why workers stood still",
        by="outside",
    ),
    INTERNAL_ERROR: Reason(
        "the twin failed three times on this record: a fault of the twin, with its place in the sentence",
        "report it; after a repair the record can be sent again",
        by="outside",
    ),
    "stale_epoch": Reason(
        "from an epoch before the station's newest",
        "an old copy of the source is still sending: stop it",
        by="line",
    ),
    WRONG_LINE_KEY: Reason(
        "the record's key is not the event's line (absent, the station's), or the record lies in another partition "
        "than `TAKTWIN_PARTITIONER` chooses for its line",
        "set the key to the line id, and the producer's partitioner as [producers.md](producers.md) says",
        by="outside",
    ),
}

NOT_FROM_RECORD: Final = frozenset(name for name, reason in REASONS.items() if reason.by == "outside")


def markdown() -> str:
    """The table of docs/events.md."""
    rows = [f"| `{name}` | {reason.means} | {reason.advice} |" for name, reason in REASONS.items()]
    return "\n".join(["| reason | meaning | what to do |", "|---|---|---|", *rows, ""])
