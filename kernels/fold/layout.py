"""Column numbers of the twin's matrices.

The state of a partition is a handful of int64 matrices, one row per line, station, buffer or window: a station's
fields share cache lines, a kernel takes a dozen arguments instead of a hundred, and a snapshot is the rows of the
lines that were seen. Rejected: one array per field (numba passes each array as seven words, and a snapshot had 90
members). Rows are zero until the line's first event, so a large plant costs only the memory it uses.
"""

from typing import Final

from kernels.codes import BLOCKED, CAUSAL_NS, N_CLASSES, N_COLUMNS, RUNNING, STARVED

FAR: Final = 9_223_372_036_854_775_807  # an instant that never comes

# E: one event.
E_LINE: Final = 0
E_TS: Final = 1
E_PHASE: Final = 2  # order within an instant, see PHASES
E_STATION: Final = 3  # plant-wide index, -1 the whole line
E_EPOCH: Final = 4
E_SEQ: Final = 5
E_TYPE: Final = 6
E_CODE: Final = 7
E_A: Final = 8  # of a cycle: hash of its unit, 0 none
E_B: Final = 9
E_C: Final = 10
E_X: Final = 11  # text id (state word, order) or counter, buffer or measure number; of parts the defect's measure
E_Y: Final = 12  # text id (reason, product)
# Product number within the line, -1 none or not in the plant. Of parts: hash of the unit that they are, 0 none, where a
# defect or the unit is to be observed; else -1.
E_PRODUCT: Final = 13
E_ARRIVAL: Final = 14
N_E: Final = 15

# Order within an instant. A completion at the instant of an order's end belongs to that order; a count at the instant
# of an order's start belongs to the new one; cycles start last, from the last station up (DESIGN: bottleneck).
PHASE_COMPLETION: Final = 0
PHASE_ORDER_END: Final = 1
PHASE_ORDER_START: Final = 2
PHASE_STATE: Final = 3
PHASE_COUNT: Final = 4
PHASE_BUFFER: Final = 5
PHASE_CYCLE_START: Final = 6
PHASE_OTHER: Final = 7

# Rows of `vectors`: the critical path since the pane began, and since the order (or the line) began.
V_PANE: Final = 0
V_TOTAL: Final = 1

# L: one line.
L_SEEN: Final = 0
L_T0: Final = 1  # ts of the first folded event
L_NEWEST: Final = 2  # newest admitted ts
L_ADMITTED: Final = 3  # number of admitted events
L_NEXT: Final = 4  # no timer is due before this instant
L_LAST: Final = 5  # ts of the last folded event
L_NEXT_TICK: Final = 6
L_EMIT_TICK: Final = 7  # oldest tick whose rows are not out yet
L_NEXT_PANE: Final = 8
L_PANE_START: Final = 9
L_NEXT_STALE: Final = 10  # no station turns out to be silent before this instant
L_CALENDAR: Final = 11  # -1, OFF_SHIFT or PLANNED_STOP
L_SHIFT: Final = 12
L_DAY: Final = 13
L_SHIFT_START: Final = 14
L_DAY_START: Final = 15
L_ORDER: Final = 16  # text id, -1 none
L_PRODUCT: Final = 17  # product number, -1 none
L_PRODUCT_TEXT: Final = 18
L_ORDER_START: Final = 19
L_CYCLES: Final = 20  # 1 once the line sent a cycle event
L_CAUSAL: Final = 21  # longest active station, -1 none
L_CAUSAL_TS: Final = 22
L_CLOSINGS: Final = 23  # number of closings waiting for an undecided stop
L_TOTAL_START: Final = 24  # start of the critical path that is not reset by panes
L_CONTRADICTIONS: Final = 25  # cycle events that contradict the buffers
L_NEXT_CALENDAR: Final = 26
L_UNDECIDED: Final = 27  # stations in a stop of undecided length
L_DUPLICATES: Final = 28
L_LATE: Final = 29
L_DIRTY: Final = 30  # a station became active or inactive since L_CAUSAL was chosen
L_DONE: Final = 31  # stations with a completed part and no room for it
L_FOLDED: Final = 32  # number of folded events
L_OLDEST: Final = 33  # oldest admitted ts
L_REVISION: Final = 34  # revisions of the line so far
L_BUCKET_TS: Final = 35  # newest ts when the bucket below began
L_BUCKET: Final = 36  # events admitted since then
L_BUCKET_BEFORE: Final = 37  # and in the bucket before, while its events may still wait
L_REVISING: Final = 38  # late events and corrections that wait for their publishing tick
L_NEXT_STOP: Final = 39  # no stop is decided, nor an alert of it due, before this instant
L_NEXT_LOST: Final = 40  # no end of a cycle is given up before; 0: none is waited for
L_QUANTITY: Final = 41  # parts ordered, -1 not told
L_DUE: Final = 42  # when its order is due, 0 not said
N_L: Final = 43
# Columns that admission owns: a fold that is done again leaves them as they are.
ADMISSION: Final = (
    L_NEWEST,
    L_ADMITTED,
    L_DUPLICATES,
    L_LATE,
    L_OLDEST,
    L_REVISION,
    L_BUCKET_TS,
    L_BUCKET,
    L_BUCKET_BEFORE,
    L_REVISING,
)

# S: one station.
S_CLASS: Final = 0
S_ACCRUED: Final = 1  # time is accounted up to here
S_REPORTED: Final = 2  # reported time class, -1 none yet
S_WORD: Final = 3
S_REASON: Final = 4
S_SEEN_TS: Final = 5
S_STALE: Final = 6
S_SINCE: Final = 7  # start of the current interval of class, word and reason
S_STOP_START: Final = 8  # of the stop that is on, -1 none
S_CYCLE: Final = 9  # CYCLE_* below
S_CYCLE_TS: Final = 10  # since when
S_ACTIVE_SINCE: Final = 11  # -1: inactive
S_DOWN_ALERT: Final = 12
S_CYCLE_PRODUCT: Final = 13
S_ORDER: Final = 14  # order at S_SINCE
S_OWN: Final = 15  # 1 once the station sent an event of its own
S_INTERVAL_WORD: Final = 16  # word and reason of the current interval
S_INTERVAL_REASON: Final = 17
S_REASONED: Final = 18  # 1 once a reason was given in the stop that lasts
S_HIDDEN: Final = 19  # class of the stop that is on, while a planned stop, silence or the like hides it; 0: none does
S_PUT_TS: Final = 20  # when it last put a part into its buffer, and last began a cycle
S_TAKE_TS: Final = 21
S_PANE_CYCLES: Final = 22  # completed cycles when the scopes of the critical path began: V_PANE, V_TOTAL
S_TOTAL_CYCLES: Final = 23
# Rows of `stations` behind those of all stations are further places of a station that holds several parts at once; of
# a place only the columns of its cycle and these four mean something.
S_UNIT: Final = 24  # hash of the unit in the open cycle, 0 where none was named
S_LOST_TS: Final = 25  # when the end of the open cycle is given up, 0 never
S_EXTRA: Final = 26  # of a station: further places in use
S_STRETCH: Final = 27  # STRETCH_* below: whose order it works on
S_OWN_ORDER: Final = 28  # text id of its own order, -1 none
S_OWN_PRODUCT: Final = 29
S_OWN_PRODUCT_TEXT: Final = 30
S_STRETCH_START: Final = 31  # but of STRETCH_OF_LINE
S_WORKED: Final = 32  # 1 once it worked on an order
S_PRODUCT: Final = 33  # text of the order's product at S_SINCE, -1 none
S_OWN_QUANTITY: Final = 34
S_OWN_DUE: Final = 35  # when its own order is due, 0 not said
N_S: Final = 36

STRETCH_OF_LINE: Final = 0  # the line's, since that began
STRETCH_OWN: Final = 1
STRETCH_AGAIN: Final = 2  # the line's, but not since its beginning
STRETCH_LEFT: Final = 3  # none: the line's has ended for this station

CYCLE_UNSEEN: Final = 0
CYCLE_BUSY: Final = 1
CYCLE_DONE: Final = 2  # completed, no room downstream
CYCLE_STARVED: Final = 3
CYCLE_READY: Final = 4  # parts are there, the station has not started

# Q: what was heard of a station: its sequence numbers, and what was wrong (rows n_stations..: of a line's own events).
Q_EPOCH: Final = 0
Q_MAX: Final = 1  # newest seq + 1; 0: none yet
Q_GAPS: Final = 2  # numbers that left the window unseen
Q_LEAP: Final = 3  # 1 + a number far ahead of all others that is not believed yet; 0: none
Q_FIRST: Final = 4  # the first number seen in the epoch: what lies before it is no gap
Q_LOW: Final = 5  # the lowest number seen in the epoch: what lies before it is news
Q_EVENTS: Final = 6  # events that were no repeats
Q_REPEATS: Final = 7
Q_REPEAT_AT: Final = 8  # 1 + offset of the first; 0: none
Q_LATE: Final = 9  # late events, and those of an old epoch, whether they revise or are refused
Q_LATE_AT: Final = 10
Q_GAP_AT: Final = 11  # 1 + offset of the event that showed the first gap
Q_BATCH: Final = 12  # events since the last look at the station's clock
Q_LAG_NS: Final = 13  # how little behind its line's newest event any of them was
Q_SKEW_NS: Final = 14  # the same of the batch before: a clock that is right is sometimes the newest
Q_SKEW_TOLD_NS: Final = 15  # that skew when it was last told
Q_BITS: Final = 16
Q_WORDS: Final = 16  # 16 x 64 numbers behind the newest are remembered
N_Q: Final = Q_BITS + Q_WORDS

# W: a number of a source whose numbers wrap: its last event, by slot and number.
W_TS: Final = 0  # 1 + ts; 0: none
W_KINDS: Final = 1  # what events it was the number of, as bits: a message may hold several
N_W: Final = 2

# B: one buffer; K: one counter.
B_LEVEL: Final = 0
B_LAST_PUT: Final = 1
B_LAST_TAKE: Final = 2
B_FED_TS: Final = 3  # when a part last came while it was empty
B_SHORT: Final = 4  # 1: a level of 0 was reported last
N_B: Final = 5
K_SEEN: Final = 0
K_VALUE: Final = 1
K_EPOCH: Final = 2
K_TS: Final = 3  # when the value was last read
K_MOVED: Final = 4  # since when it has been the value
K_HELD: Final = 5  # 1: a reading that is not believed yet, in the next three
K_HELD_VALUE: Final = 6
K_HELD_EPOCH: Final = 7
K_HELD_TS: Final = 8
N_K: Final = 9

# Scopes whose totals start at a cut: rows of `base`.
SCOPE_SHIFT: Final = 0
SCOPE_DAY: Final = 1
SCOPE_ORDER: Final = 2  # of the line
SCOPE_STRETCH: Final = 3  # a station's time with an order, where it is not the line's
N_SCOPES: Final = 4

# X: a closing that waits for an undecided stop; its deltas lie beside it.
X_SCOPE: Final = 0
X_START: Final = 1
X_END: Final = 2
X_ORDER: Final = 3
X_PRODUCT: Final = 4
X_SHIFT: Final = 5
X_LAST: Final = 6
X_QUANTITY: Final = 7  # parts ordered, -1 not told, or not of an order
N_X: Final = 8
# Context of a tick whose rows are not out yet.
T_ORDER: Final = 0
T_PRODUCT: Final = 1
T_SHIFT: Final = 2
T_LAST: Final = 3
N_T: Final = 4

# TO: context of a station at a tick whose rows are not out yet, where it is not the line's.
TO_OWN: Final = 0
TO_ORDER: Final = 1
TO_PRODUCT: Final = 2
N_TO: Final = 3
# CO: that of a closing, and what row the station has of it.
CO_ROW: Final = 0
CO_ORDER: Final = 1
CO_PRODUCT: Final = 2
CO_START: Final = 3
CO_QUANTITY: Final = 4
N_CO: Final = 5
ROW_OF_LINE: Final = 0  # with the context of the line
ROW_OWN: Final = 1
ROW_UNSEEN: Final = 2  # none, but the line's row is made of it, too
ROW_NONE: Final = 3

# LC, SC, WC, BC, KC: the plant model in numbers.
LC_STATION: Final = 0  # first station
LC_STATIONS: Final = 1
LC_WINDOW: Final = 2
LC_WINDOWS: Final = 3
LC_PUBLISH_NS: Final = 4
LC_LATENESS_NS: Final = 5
LC_MAX_JUMP_NS: Final = 6
LC_PANE_NS: Final = 7
LC_BUFFERS: Final = 8  # number of buffers; 0: the stations are not linked
LC_REQUIRES_ORDER: Final = 9
LC_CALENDAR: Final = 10
LC_VECTOR: Final = 11  # offset of the line's critical-path matrix
LC_TICKS: Final = 12  # offset of its tick contexts
LC_TICK_SLOTS: Final = 13
LC_HORIZON_NS: Final = 14  # after this much silence no window has an event
LC_DOWN_NS: Final = 15  # alert limit, 0 none
LC_REVISE_NS: Final = 16  # so far behind the watermark late events still revise the line's rows, 0 not at all
LC_SEQ_MODULUS: Final = 17  # sequence numbers wrap to 0 here, 0: they do not
LC_WRAPPED: Final = 18  # offset of the line's rows of `wrapped`: of its stations and of its own events, one by one
LC_CELLS: Final = 19  # size of the line's critical-path matrix: places x stations
LC_PRODUCTS: Final = 20  # number of products
LC_OWN_TICKS: Final = 21  # offset of the first station's tick contexts
LC_UNITS: Final = 22  # 1: its stations most likely count different things
N_LC: Final = 23
SC_LINE: Final = 0
SC_MINOR_NS: Final = 1
SC_STALE_NS: Final = 2
SC_OUTPUT: Final = 3  # buffer, -1 none
SC_INPUT: Final = 4  # offset into `inputs`
SC_INPUTS: Final = 5
SC_PARTS_FROM_CYCLE: Final = 6
SC_IDEAL: Final = 7  # offset into `ideal`: [no product, product 0, product 1, ...]
SC_MAX_PARTS: Final = 8  # most parts that one event may add
SC_FASTEST_NS: Final = 9  # no part takes less, 0 not known
SC_END: Final = 10  # 1: the last station of its line, or one that puts its parts where that one does
SC_PLACES: Final = 11  # parts it holds at once as declared, 1 where not
SC_ROW: Final = 12  # its first further row in State.stations
SC_ROWS: Final = 13  # how many there are: places declared but one, or room for cycles that overlap undeclared
SC_COUNTS_ALL: Final = 14  # 1: all its parts are counted, scrap and rework say what some of them were
SC_FIRST_PASS: Final = 15  # number of the measure that says which units passed at once, -1 none
N_SC: Final = 16
# PC: one further place.
PC_STATION: Final = 0
PC_VECTOR: Final = 1  # offset of its vector; -1: it has none, for its station did not declare it
N_PC: Final = 2
WC_LENGTH: Final = 0
WC_STEP: Final = 1
WC_RING: Final = 2  # offset of the first station's ring
WC_SLOTS: Final = 3
WC_TICKS: Final = 4  # offset of the first station's rows of ticks
N_WC: Final = 5
BC_CAPACITY: Final = 0
BC_PRODUCER: Final = 1  # offset into `producers`
BC_PRODUCERS: Final = 2
BC_CONSUMER: Final = 3
BC_CONSUMERS: Final = 4
N_BC: Final = 5
KC_QUALITY: Final = 0  # GOOD, SCRAP or REWORK
KC_SCALE: Final = 1
KC_MODULUS: Final = 2  # 0: never wraps
KC_TOTAL: Final = 3  # 1: it counts all parts
KC_OF_CYCLES: Final = 4  # 1: its steps are cycles
N_KC: Final = 5

# Rows that leave the kernels. KO: key figures.
KO_LINE: Final = 0
KO_STATION: Final = 1
KO_WINDOW: Final = 2  # window number of the plant, or -1 - scope
KO_START: Final = 3
KO_END: Final = 4
KO_SHIFT: Final = 5
KO_ORDER: Final = 6
KO_PRODUCT: Final = 7
KO_LINE_ORDER: Final = 8  # what the line's row says
KO_LINE_PRODUCT: Final = 9
KO_ROW: Final = 10  # ROW_OF_LINE: one of all stations of the line, together; ROW_OWN: alone; ROW_UNSEEN: for the line
KO_QUANTITY: Final = 11  # parts ordered, -1 not told, or not of an order
KO_LINE_QUANTITY: Final = 12
KO_COLUMNS: Final = 13
N_KO: Final = KO_COLUMNS + N_COLUMNS
# IO: closed state intervals.
IO_LINE: Final = 0
IO_STATION: Final = 1
IO_START: Final = 2
IO_END: Final = 3
IO_CLASS: Final = 4
IO_WORD: Final = 5
IO_REASON: Final = 6
IO_ORDER: Final = 7
IO_PRODUCT: Final = 8
N_IO: Final = 9
# PO: critical path of a pane or an order.
PO_LINE: Final = 0
PO_STATION: Final = 1
PO_KIND: Final = 2  # PANE or ORDER_PATH
PO_START: Final = 3
PO_END: Final = 4
PO_SHIFT: Final = 5
PO_ORDER: Final = 6
PO_PRODUCT: Final = 7
PO_PATH_NS: Final = 8
PO_BLOCKED: Final = 9
PO_STARVED: Final = 10
PO_RUNNING: Final = 11
PO_CAUSAL: Final = 12
PO_CYCLES: Final = 13
N_PO: Final = 14
PANE: Final = 0
ORDER_PATH: Final = 1
# What a pane's start remembers of the cumulative vectors.
PANE_COLUMNS: Final = (BLOCKED, STARVED, RUNNING, CAUSAL_NS)
# PA: active periods; the open ones are repeated, cut off, at the end of every pane.
PA_LINE: Final = 0
PA_STATION: Final = 1
PA_START: Final = 2
PA_END: Final = 3
PA_OPEN: Final = 4
N_PA: Final = 5
# AO: alerts the fold itself sees.
AO_LINE: Final = 0
AO_STATION: Final = 1
AO_KIND: Final = 2
AO_ACTION: Final = 3
AO_TS: Final = 4
AO_SINCE: Final = 5
N_AO: Final = 6
ALERT_DOWN: Final = 0
ALERT_STALE: Final = 1
# What casts doubt on the figures (AO_SINCE: the counter): a reading that was not believed; one that was, although it
# rose faster than it can; one after which the counter went on from a value that nothing can have made.
DOUBT_READING: Final = 2
DOUBT_STEP: Final = 3
DOUBT_BASELINE: Final = 4
# AO_SINCE: a text. Parts of an order that their station does not work on; the end of an order that is not open; the
# start of the one that is; a product that the plant does not know; good parts where all are counted already (no text).
DOUBT_ORDER_NAMED: Final = 5
DOUBT_ORDER_END: Final = 6
DOUBT_ORDER_REPEATED: Final = 7
DOUBT_PRODUCT: Final = 8
DOUBT_GOOD: Final = 9
NOTE_ORDER_STARTED: Final = 10
NOTE_ORDER_ENDED: Final = 11
# AO_SINCE: how many cycle events contradict the books. No text: a station that was not heard of a whole day; stations
# of a line that most likely count different things.
DOUBT_CYCLES: Final = 12
DOUBT_UNHEARD: Final = 13
DOUBT_UNITS: Final = 14
# AO_SINCE: a text, the measure. A meter's reading that was not believed; one after which the meter went on, and what it
# measured in between is not known.
DOUBT_METER: Final = 15
DOUBT_METER_LEFT: Final = 16
# AO_SINCE: a text, the product. Declared otherwise than the plant file has it; with a factor on a line that counts in
# one unit; no longer known, because so many others were declared since.
DOUBT_DECLARED: Final = 17
DOUBT_FACTOR: Final = 18
DOUBT_FORGOTTEN: Final = 19
RAISED: Final = 0
CLEARED: Final = 1
# A part of a product that an event declares takes no longer; of one event so many days of work count as ideal time.
LONGEST_DECLARED_NS: Final = 86_400_000_000_000
DAYS_OF_WORK: Final = 366

# MO: what a measure event said, or a count beside its parts, and the context in which it did.
MO_LINE: Final = 0
MO_STATION: Final = 1  # -1 the line
MO_MEASURE: Final = 2  # number of the measure in the plant
MO_TS: Final = 3
MO_EPOCH: Final = 4
MO_VALUE: Final = 5  # in the last decimal place that the plant declares
MO_ORDER: Final = 6  # text
MO_PRODUCT: Final = 7  # text
MO_CLASS: Final = 8  # of the station until then, -1 of a line
MO_N: Final = 9  # units that the value is of, -1 not said
MO_UNIT: Final = 10  # hash of the unit that a count is of, 0 none
MO_GOOD: Final = 11  # parts that the station has counted until then, since the line began; 0 of a line
MO_MADE: Final = 12  # good, scrap and rework together
MO_COUNTED: Final = 13  # 1: a count has said it, so it is of the time that begins at its instant; 0: that ends there
MO_TIMES: Final = 14  # ns that the station has been in each class until then, since the line began
N_MO: Final = MO_TIMES + N_CLASSES + 1

# Verdicts of admission.
ADMITTED: Final = 0
DUPLICATE: Final = 1
LATE: Final = 2
STALE_EPOCH: Final = 3
HELD: Final = 4  # a jump ahead that nothing has confirmed yet
UNCONFIRMED: Final = 5
IMPOSSIBLE: Final = 6
REVISES: Final = 7  # late, but the line still keeps what it needs to fold it in
OVERFULL: Final = 8
UNCORRECTED: Final = 9  # a correction of nothing that is kept
N_VERDICTS: Final = UNCORRECTED + 1

# TOLD: a tally of a source that has become 1, 10, 100, ... by an event.
TOLD_LINE: Final = 0
TOLD_STATION: Final = 1  # -1 the line's own events
TOLD_TS: Final = 2  # of the event
TOLD_WHAT: Final = 3
TOLD_COUNT: Final = 4  # 1, 10, 100, ...; of a clock, how many ns it lags behind
N_TOLD: Final = 5
# One event may tell so many.
MOST_TOLD: Final = 3
TOLD_LATE: Final = 0
TOLD_REPEATS: Final = 1
TOLD_GAPS: Final = 2
TOLD_SKEW: Final = 3

# Numbers of rows written so far.
N_KPI: Final = 0
N_INTERVAL: Final = 1
N_PATH: Final = 2
N_ALERT: Final = 3
N_ACTIVE: Final = 4
N_MEASURED: Final = 5
N_OUT: Final = 6

# How an event of a block goes.
BY_ROWS: Final = 0  # as a row, which is admitted and waits
WAITS: Final = 1  # admitted in order, but its line is not in order as a whole, or its watermark lies before it
IN_ORDER: Final = 2  # admitted, and folded as it came
# What is known of a line's events in a block so far.
NONE_YET: Final = 0
RISING: Final = 1
MIXED: Final = 2
# Events of a line at one instant that go in order.
TOGETHER: Final = 64
# G: how far gathering them is.
G_NEXT: Final = 0  # the first event that is not gathered
G_LINE: Final = 1  # the first line that is not folded
G_HALF: Final = 2  # which half of the rows is at hand
N_G: Final = 3
