"""What state was called by versions that did not say so in their snapshots."""

from typing import Final

# Snapshots of format 3 (main a193fe3). They are read for ever: nothing here is ever changed.
_WORDS_3: Final = {
    "line": (
        "seen t0 newest admitted next last next_tick emit_tick next_pane pane_start next_stale calendar shift "
        "day shift_start day_start order product product_text order_start cycles causal causal_ts closings "
        "total_start contradictions next_calendar undecided duplicates late dirty done folded oldest revision "
        "bucket_ts bucket bucket_before revising"
    ),
    "station": (
        "class accrued reported word reason seen_ts stale since stop_start cycle cycle_ts active_since "
        "down_alert cycle_product order own interval_word interval_reason"
    ),
    "vector": (
        "unknown off_shift planned_stop no_order running setup starved blocked minor_stop down maintenance "
        "waiting stopped good scrap rework ideal_ns cycles cycle_ns minor_stops downs causal_ns"
    ),
    "delta": (
        "unknown off_shift planned_stop no_order running setup starved blocked minor_stop down maintenance "
        "waiting stopped good scrap rework ideal_ns cycles cycle_ns minor_stops downs causal_ns undecided"
    ),
    "scope": "shift day order",
    "closing": "scope start end order product shift last",
    "tick": "order product shift last",
    "path": "pane total",
    "pane": "blocked starved running causal_ns",
    "buffer": "level last_put last_take",
    "counter": "seen value epoch",
    "event": "line ts phase station epoch seq type code a b c x y product arrival",
    "sequence": (
        "epoch max gaps leap bits0 bits1 bits2 bits3 bits4 bits5 bits6 bits7 bits8 bits9 bits10 bits11 bits12 "
        "bits13 bits14 bits15"
    ),
    "interval": "line station start end class word reason order",
    "class": (
        "unknown off_shift planned_stop no_order running setup starved blocked minor_stop down maintenance "
        "waiting stopped"
    ),
    "type": "state count cycle order buffer heartbeat correction",
    "phase": "completion order_end order_start state count buffer cycle_start other",
    "array": (
        "lines stations total rings steps base closings deltas ticks tick_deltas vectors pane_base buffers counters"
    ),
}
NAMES_3: Final = {axis: tuple(words.split()) for axis, words in _WORDS_3.items()}
