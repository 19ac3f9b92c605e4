"""The version of the rules: what turns events into figures.

It stands in every footer and snapshot. An interval made under other rules cannot be expected to come out of this code
cell by cell; `recompute` then names the rules that lie between instead of calling it a difference.

Append an entry for every change after which some log gives another figure, verdict or refusal, in the commit that makes
the change. Never renumber: the version is the place in the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CARRIED: Final = "lines_go_on_where_the_plant_changes"


@dataclass(frozen=True, slots=True)
class Rule:
    """One change of the rules."""

    name: str
    sets: tuple[str, ...]  # the audited sets whose rows it can change
    what: str  # a sentence for people: what is different from then on


HISTORY: Final = (
    Rule("first", (), "the rules of files and snapshots that name no rules"),
    Rule(
        "work_between_orders",
        ("states", "kpis", "bottlenecks", "alerts"),
        "setup, maintenance and down reported after an order keep their class instead of no_order",
    ),
    Rule(
        "reason_of_each_part",
        ("states",),
        "another reason, or none after one, begins a new row within a stop; it replaced the reason of the whole row",
    ),
    Rule(
        "earliest_time",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "a ts before 2000, or before the plant's `earliest`, is refused as bad_time",
    ),
    Rule(
        "arrow_records",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "Arrow: a null of an unsigned index is no word; an empty dictionary with a negative offset is refused always",
    ),
    Rule(
        "silence_is_longer",
        ("states", "kpis", "bottlenecks", "alerts"),
        "a station heard exactly at its staleness is not silent",
    ),
    Rule(
        "whole_stops",
        ("states", "kpis", "bottlenecks", "alerts"),
        "a stop is as long as by the clock across planned stops, shifts, orders and unknown moments, and counts once",
    ),
    Rule(
        "readings_confirmed",
        ("kpis", "alerts"),
        "a counter's reading that fell or that nothing could have made waits for the next one; it was booked at once",
    ),
    Rule(
        "longest_wait_unloads_first",
        ("states", "kpis", "bottlenecks", "alerts"),
        "of stations blocked on one buffer the one that starts then, else that waited longest unloads; not the last",
    ),
    Rule(
        "parallel_stations_share_the_path",
        ("bottlenecks", "alerts"),
        "stations that bring parts or make room at one instant, and those that end the line together, share the path",
    ),
    Rule(
        "never_heard_is_unknown",
        ("states", "kpis", "bottlenecks", "alerts"),
        "a station in a line with cycles is unknown until its own first event; it was starved where no part came",
    ),
    Rule(
        "supplied_from_outside",
        ("states", "kpis", "bottlenecks", "alerts"),
        "a buffer that no station fills runs short only where a level of 0 is reported; it was empty from the start",
    ),
    Rule(
        "suspect_jump",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "an event over 30 minutes ahead is held, and any later one confirms it; over max_jump, and one within max_jump",
    ),
    Rule(
        "first_numbers",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "sequence numbers below all that were seen are news; those before the first one seen were repeats; the last "
        "number of 64 bits is refused as late",
    ),
    Rule(
        "record_key",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "a record that is not keyed by its line, or lies where the partitioner does not put it, is refused",
    ),
    Rule(
        "repeated_hour",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "CSV, repeated hour of autumn: back by more than the lateness is the second pass; it was half an hour",
    ),
    Rule(
        "cycles_paired_by_unit",
        ("states", "kpis", "bottlenecks", "alerts"),
        "cycles of several units that overlap at a station are all open: an end ends its own unit's; running is the "
        "union, and an end of a unit that is not open ends nothing; the later start ended the earlier cycle",
    ),
    Rule(
        "end_of_log",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "a log ends at its next publishing tick, with a heartbeat that is no suspect jump and no sign of life",
    ),
    Rule(
        "parts_at_an_orders_end",
        ("kpis",),
        "parts at the instant at which an order ends belong to it, and where none was open to the one that begins; "
        "parts that name an order belong to it or to none",
    ),
    Rule(
        "orders_sent_again",
        ("kpis", "bottlenecks", "alerts"),
        "the start of the open order with the same product changes nothing; it cut the order in two",
    ),
    Rule(
        "scrap_of_counted_parts",
        ("kpis", "alerts"),
        "scrap and rework of a station whose parts come from cycles are parts of them; they were further ones",
    ),
    Rule(
        "orders_of_stations",
        ("states", "kpis", "bottlenecks", "alerts"),
        "an order event that names a station is that station's order; it was the line's",
    ),
    Rule(
        "product_of_each_cycle",
        ("kpis",),
        "of cycles of one station that end where an order begins each part has its own cycle's product; the last one's",
    ),
    Rule(
        "operators_entries",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "counts and orders with `corrects` stand in the place of an event, corrections have verbs, notes are hashes",
    ),
    Rule(
        "more_doubts_told",
        ("alerts",),
        "cycle events that contradict the buffers, stations unheard of for a day and units that do not fit are alerts",
    ),
    Rule(
        "end_confirms",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "the end of a log confirms what is held and lies before it, however long the windows are; it was refused "
        "within the reach of the end",
    ),
    Rule(
        "schedule_in_silence",
        ("states", "kpis", "bottlenecks"),
        "after 92 days without an event the time is not planned until the next event; shifts and stops went on",
    ),
    Rule(
        "facts_of_admission",
        ("alerts",),
        "late events, repeats, gaps and clocks that are behind raise data_quality; they were counted only",
    ),
    Rule(
        CARRIED,
        ("states", "kpis", "bottlenecks", "alerts", "rejected"),
        "where the plant model changes, lines go on with what still has a place; they began anew",
    ),
    Rule(
        "measures",
        ("events", "measures", "alerts", "rejected"),
        "events of type measure are taken, and summed; they were refused as unknown_type",
    ),
    Rule(
        "last_word_within_a_stop",
        ("states",),
        "a part of a stop that is entered after the whole stop's reason keeps its own, also before the next tick",
    ),
    Rule(
        "charts",
        ("samples", "alerts"),
        "measures with a chart give points, limits and the rules that are broken",
    ),
    Rule(
        "products_from_data",
        ("events", "states", "kpis", "bottlenecks", "alerts", "rejected"),
        "orders, and events of type product, declare what a part of a product takes that the plant file does not name; "
        "the station's own ideal cycle counted, and product was refused as unknown_type",
    ),
    Rule(
        "defects_and_units_of_counts",
        ("events", "states", "kpis", "bottlenecks", "alerts", "measures", "rejected"),
        "a `defect` of a count is one that the station declares, of parts that are scrap or rework, else the count is "
        "refused; with `unit` of a count and `n` of a measure it was passed over",
    ),
    Rule(
        "orders_of_one_instant",
        ("states", "kpis", "bottlenecks", "alerts", "measures"),
        "an order that begins and ends at one instant is over then, and has a row with its parts; it stayed open, and "
        "what came after it was its own",
    ),
    Rule(
        "first_reason_of_every_stop",
        ("states",),
        "the first reason of a stop also holds for what went before it where the source's word is down or minor_stop, "
        "and where it comes at the instant at which the stop ends",
    ),
    Rule(
        "unknown_products_of_cycles",
        ("alerts",),
        "a cycle whose product neither the plant nor the data know is reported, as an order's was",
    ),
    Rule(
        "empty_texts",
        ("states", "kpis", "bottlenecks", "alerts", "measures"),
        "an empty reason, product, or unit of a part is none",
    ),
    Rule(
        "no_performance_without_ideal",
        ("kpis", "alerts"),
        "parts of which no ideal cycle is known give no performance and no OEE; both were 0",
    ),
    Rule(
        "parts_of_cycles_once",
        ("kpis", "alerts"),
        "where parts come from cycles, those of a counter of all parts are left out and reported; they counted twice",
    ),
    Rule(
        "ends_of_no_cycle",
        ("kpis", "alerts"),
        "the end of a cycle that is not open makes parts of the order's product; it took that of an earlier cycle",
    ),
    Rule(
        "sorts_of_one_message",
        ("states", "kpis", "bottlenecks", "alerts", "measures", "samples"),
        "with seq_modulus, a counter, a buffer, a measure and a defect of one message are no repeats of each other",
    ),
    Rule(
        "corrections_across_unknown",
        ("states", "kpis", "alerts"),
        "a correction of a whole stop reaches over moments of which nothing is known, which end no stop",
    ),
    Rule(
        "down_within_a_stop",
        ("states", "kpis", "alerts"),
        "a station that reports down while it is stopped is down from the beginning of that stop; it was a minor stop, "
        "and a downtime behind it",
    ),
)
RULES: Final = len(HISTORY)


def version(keys: Mapping[str, str]) -> int:
    """Version of the rules by which a file's rows were made, from its footer: files that say none are of the first.

    Raises ValueError: they are of no rules that this code knows.
    """
    said = keys.get("rules", "1")
    if not said.isdecimal() or not 1 <= int(said) <= RULES:
        raise ValueError(
            f"made under rules {said}, this code knows rules 1 to {RULES}; use the version of taktwin that wrote it "
            f"({keys.get('code_version', 'unknown')}), or a newer one"
        )
    return int(said)


def begins_anew(made: int) -> bool:
    """Whether lines began anew under these rules where the plant model had changed."""
    return any(rule.name == CARRIED for rule in since(made))


def since(made: int) -> tuple[Rule, ...]:
    """The rules that came after version `made`, in their order."""
    return HISTORY[made:]


def touched(made: int) -> frozenset[str]:
    """The sets in which rows made under version `made` may differ from what today's rules give."""
    return frozenset(set_name for rule in since(made) for set_name in rule.sets)
