"""Plain records of text to numbers: flat JSON objects whose names, words and numbers are written without any frills.

A record is taken only where every reader of JSON reads the same in it: one object that nests nothing, no field named
twice, no escapes, whole numbers. All others are left to whoever called. Bytes and positions in, integers out: what a
name or a word means is in the tables of `Grammar` and `Places`, and words are numbered in the order they are found in.

Behind each record stands a NUL. No text, number or space contains one, so nothing here reads beyond its record.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from kernels.jit import bare, hot

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

# Fields that are looked at by name; the others are as Grammar.forms says.
F_TYPE, F_LINE, F_STATION = 0, 2, 3
# Columns of Grammar.forms. A form without a column is that of the type, the line or the station.
FORM_FIELD, FORM_KIND, FORM_REQUIRED, FORM_COLUMN, FORM_LEAST, FORM_MOST = range(6)
N_FORM = 6
# Kinds of a field, and of a value (the first two, and the last).
INTEGER, TEXT, TIME, CHOICE, OTHER = range(5)
# Columns of the rows; what a type has of its own stands from ROW_OWN on.
ROW_RECORD, ROW_TYPE, ROW_PLACE, ROW_OWN = 0, 1, 2, 3
# Rows of what is remembered of a word.
WORD_START, WORD_END, WORD_HASH = range(3)
N_WORD = 3
# Rows of what is remembered of a record's fields.
AT_KIND, AT_VALUE, AT_END, AT_HASH = range(4)
N_AT = 4

_QUOTE, _MINUS, _DOT, _ZERO, _COLON, _COMMA, _OPEN, _CLOSE = 34, 45, 46, 48, 58, 44, 123, 125
_MIX = -7046029254386353131  # 2^64 over the golden ratio, as int64
_MOST_TENTH, _MOST_DIGIT = (2**63 - 1) // 10, (2**63 - 1) % 10
_MOST_DIGITS = 19
# The hash has no key. Words that meet on purpose are left to the caller instead of searched for ever longer.
MOST_STEPS = 64
_DAY_NS = 86_400 * 10**9
# What no plain text contains or what ends it: its quote, escapes, control characters (JSON allows none) and opening
# brackets (a limit counts these, wherever they stand).
_ENDS = np.zeros(256, np.uint8)
_ENDS[:32] = 1
_ENDS[[_QUOTE, 92, 91, _OPEN]] = 1
_SPACE = np.zeros(256, np.uint8)
_SPACE[[9, 10, 13, 32]] = 1


class Grammar(NamedTuple):
    """What fields there are, of which types, and the words that stand for numbers."""

    names: U8  # the known words one behind the other
    spans: I64  # (2, words) their starts and ends
    table: I32  # hash table of the words
    field_of: I64  # (words,) the field a word names, -1
    choice: I64  # (fields, words) the number of a word where it is a field's value, -1
    forms: I64  # (types, most fields, N_FORM) the fields of each type; FORM_FIELD -1: no more


class Places(NamedTuple):
    """Pairs of names: a line and its station, or a line alone."""

    names: U8
    spans: I64  # (4, places) start and end of the line's name, start and end of the station's (-1: none)
    table: I32


@hot
def octet(data: U8, i: int) -> int:
    """Signed, as numba makes floats of mixed kinds; no position is negative, so none need be counted from the end."""
    return int(np.int64(data[np.uintp(i)]))


@hot
def mixed(h: int, w: int) -> int:
    h = (h ^ w) * _MIX
    return h ^ (h >> 29)


@hot
def _text(data: U8, i: int) -> tuple[int, int, int]:
    """The plain text that begins at `i`: its end, its hash, and all its bytes or-ed."""
    h = w = wide = 0
    start = i
    while True:
        byte = octet(data, i)
        if _ENDS[np.uintp(byte)]:
            break
        wide |= byte
        w = (w << 8) | byte
        i += 1
        if (i - start) & 7 == 0:
            h = mixed(h, w)
            w = 0
    return i, mixed(h, w ^ (i - start)), wide


@hot
def _same(a: U8, at: int, b: U8, start: int, length: int) -> bool:
    for k in range(length):
        if octet(a, at + k) != octet(b, start + k):
            return False
    return True


@bare
def utf8(data: U8, i: int, end: int) -> bool:
    """Whether it is UTF-8: no more bytes than needed, no surrogates, nothing beyond U+10FFFF."""
    while i < end:
        byte = octet(data, i)
        i += 1
        if byte < 0x80:
            continue
        low, high = 0x80, 0xBF  # of the first byte that follows
        if 0xC2 <= byte <= 0xDF:
            more = 1
        elif 0xE0 <= byte <= 0xEF:
            more = 2
            if byte == 0xE0:
                low = 0xA0
            elif byte == 0xED:
                high = 0x9F
        elif 0xF0 <= byte <= 0xF4:
            more = 3
            if byte == 0xF0:
                low = 0x90
            elif byte == 0xF4:
                high = 0x8F
        else:
            return False
        if i + more > end:
            return False
        for _ in range(more):
            if not low <= octet(data, i) <= high:
                return False
            low, high = 0x80, 0xBF
            i += 1
    return True


@hot
def _two(data: U8, i: int) -> int:
    """Two digits; far below zero where they are none."""
    a, b = octet(data, i) - _ZERO, octet(data, i + 1) - _ZERO
    return a * 10 + b if 0 <= a <= 9 and 0 <= b <= 9 else -1_000_000


@bare
def instant(data: U8, i: int, end: int) -> int:
    """RFC 3339 to ns since 1970, from 1970 to 2199; -1 for anything else."""
    if end - i < 20:
        return NONE
    year = 100 * _two(data, i) + _two(data, i + 2)
    month, day = _two(data, i + 5), _two(data, i + 8)
    hour, minute, second = _two(data, i + 11), _two(data, i + 14), _two(data, i + 17)
    mark = octet(data, i + 10)
    if (
        octet(data, i + 4) != _MINUS
        or octet(data, i + 7) != _MINUS
        or octet(data, i + 13) != _COLON
        or octet(data, i + 16) != _COLON
    ):
        return NONE
    if mark != 84 and mark != 116 and mark != 32:  # T, t, space
        return NONE
    if not (1970 <= year < 2200 and 1 <= month <= 12 and 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return NONE
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = (29 if leap else 28) if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    if not 1 <= day <= longest:
        return NONE
    i += 19
    fraction, digits = 0, 0
    if octet(data, i) == _DOT:
        i += 1
        while i < end and _ZERO <= octet(data, i) <= _ZERO + 9 and digits < 9:
            fraction = fraction * 10 + octet(data, i) - _ZERO
            digits += 1
            i += 1
        if digits == 0:
            return NONE
        for _ in range(9 - digits):
            fraction *= 10
    ahead = 0
    if end - i == 1:
        if octet(data, i) != 90 and octet(data, i) != 122:  # Z, z
            return NONE
    else:
        if end - i != 6 or (octet(data, i) != 43 and octet(data, i) != _MINUS) or octet(data, i + 3) != _COLON:
            return NONE
        hours, minutes = _two(data, i + 1), _two(data, i + 4)
        if not (0 <= hours < 24 and 0 <= minutes < 60):
            return NONE
        ahead = hours * 60 + minutes if octet(data, i) == 43 else -hours * 60 - minutes
    # Days of the civil calendar, in years that begin in March: the leap day is then their last.
    shifted = year - 1 if month <= 2 else year
    of_year = (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 1
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468
    ns = days * _DAY_NS + (hour * 3600 + (minute - ahead) * 60 + second) * 10**9 + fraction
    return ns if ns >= 0 else NONE


@hot
def find_word(data: U8, start: int, end: int, h: int, names: U8, spans: I64, table: I32) -> int:
    """The number of a known word, -1."""
    mask = len(table) - 1
    slot = h & mask
    while True:
        k = table[slot]
        if k < 0:
            return NONE
        if spans[1, k] - spans[0, k] == end - start and _same(data, start, names, spans[0, k], end - start):
            return int(np.int64(k))
        slot = (slot + 1) & mask


@hot
def _place(data: U8, at: I64, station: bool, places: Places) -> int:
    """The number of the pair of line and station, -1."""
    line, line_length = at[AT_VALUE, F_LINE], at[AT_END, F_LINE] - at[AT_VALUE, F_LINE]
    begin = at[AT_VALUE, F_STATION] if station else 0
    length = at[AT_END, F_STATION] - begin if station else 0
    mask = len(places.table) - 1
    slot = mixed(at[AT_HASH, F_LINE], at[AT_HASH, F_STATION] if station else 0) & mask
    spans = places.spans
    while True:
        k = places.table[slot]
        if k < 0:
            return NONE
        if (
            (spans[2, k] >= 0) == station
            and spans[1, k] - spans[0, k] == line_length
            and spans[3, k] - spans[2, k] == length
            and _same(data, line, places.names, spans[0, k], line_length)
            and _same(data, begin, places.names, spans[2, k], length)
        ):
            return int(np.int64(k))
        slot = (slot + 1) & mask


@hot
def numbered(data: U8, start: int, end: int, h: int, words: I64, table: I32, known: int) -> int:
    """The number of a word: `known` if it is a new one, -1 if it is not found soon."""
    mask = len(table) - 1
    slot = h & mask
    for _ in range(MOST_STEPS):
        k = int(np.int64(table[slot]))
        if k < 0:
            if known == words.shape[1]:
                return NONE
            table[slot] = known
            words[WORD_START, known] = start
            words[WORD_END, known] = end
            words[WORD_HASH, known] = h
            return known
        begin = words[WORD_START, k]
        if (
            words[WORD_HASH, k] == h
            and words[WORD_END, k] - begin == end - start
            and _same(data, start, data, begin, end - start)
        ):
            return k
        slot = (slot + 1) & mask
    return NONE


@bare
def enter_words(names: U8, spans: I64, table: I32) -> None:
    """Fill the hash table (a power of two, twice as long as it is full, -1 throughout) of different words.

    A NUL stands behind each word.
    """
    mask = len(table) - 1
    for k in range(spans.shape[1]):
        slot = _text(names, spans[0, k])[1] & mask
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = k


@bare
def enter_places(names: U8, spans: I64, table: I32) -> None:
    """The same for different pairs."""
    mask = len(table) - 1
    for k in range(spans.shape[1]):
        second = _text(names, spans[2, k])[1] if spans[2, k] >= 0 else 0
        slot = mixed(_text(names, spans[0, k])[1], second) & mask
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = k


@hot
def _space(data: U8, i: int) -> int:
    while _SPACE[np.uintp(octet(data, i))]:
        i += 1
    return i


@hot
def _value(data: U8, i: int, at: I64, f: int) -> int:
    """Read a value into column `f` of `at`. Its end; -1: not a plain one. Kind NONE: null."""
    byte = octet(data, i)
    if byte == _QUOTE:
        end, h, wide = _text(data, i + 1)
        if octet(data, end) != _QUOTE or (wide >= 0x80 and not utf8(data, i + 1, end)):
            return NONE
        at[AT_KIND, f] = TEXT
        at[AT_VALUE, f] = i + 1
        at[AT_END, f] = end
        at[AT_HASH, f] = h
        return end + 1
    if byte == 110:  # null
        at[AT_KIND, f] = NONE
        return i + 4 if octet(data, i + 1) == 117 and octet(data, i + 2) == 108 and octet(data, i + 3) == 108 else NONE
    at[AT_KIND, f] = OTHER
    if byte == 116:  # true
        return i + 4 if octet(data, i + 1) == 114 and octet(data, i + 2) == 117 and octet(data, i + 3) == 101 else NONE
    if byte == 102:  # false
        if (
            octet(data, i + 1) == 97
            and octet(data, i + 2) == 108
            and octet(data, i + 3) == 115
            and octet(data, i + 4) == 101
        ):
            return i + 5
        return NONE
    kind = INTEGER
    if byte == _MINUS:
        kind = OTHER
        i += 1
    start = i
    value = 0
    while _ZERO <= octet(data, i) <= _ZERO + 9:
        digit = octet(data, i) - _ZERO
        if value > _MOST_TENTH or (value == _MOST_TENTH and digit > _MOST_DIGIT):
            return NONE
        value = value * 10 + digit
        i += 1
    if i == start or (octet(data, start) == _ZERO and i > start + 1):
        return NONE
    if octet(data, i) == _DOT:
        kind = OTHER
        i += 1
        start = i
        while _ZERO <= octet(data, i) <= _ZERO + 9:
            i += 1
        if i == start or i > start + _MOST_DIGITS:
            return NONE
    at[AT_KIND, f] = kind
    at[AT_VALUE, f] = value
    return i


@hot
def _fields(data: U8, i: int, end: int, grammar: Grammar, at: I64) -> int:
    """Read the fields of a record into `at`: which are there, as bits; -1: the record is not a plain object."""
    unknown = at.shape[1] - 1  # where values go that nobody asks for
    i = _space(data, i)
    if octet(data, i) != _OPEN:
        return NONE
    seen = 0
    while True:
        i = _space(data, i + 1)
        if octet(data, i) != _QUOTE:
            return NONE  # also where the object is empty
        name_end, h, wide = _text(data, i + 1)
        if octet(data, name_end) != _QUOTE or (wide >= 0x80 and not utf8(data, i + 1, name_end)):
            return NONE
        word = find_word(data, i + 1, name_end, h, grammar.names, grammar.spans, grammar.table)
        f = grammar.field_of[word] if word >= 0 else NONE
        i = _space(data, name_end + 1)
        if octet(data, i) != _COLON:
            return NONE
        i = _value(data, _space(data, i + 1), at, f if f >= 0 else unknown)
        if i < 0:
            return NONE
        if f >= 0:
            if seen >> f & 1:
                return NONE
            seen |= 1 << f
        i = _space(data, i)
        if octet(data, i) == _CLOSE:
            return seen if _space(data, i + 1) == end else NONE
        if octet(data, i) != _COMMA:
            return NONE


@hot
def _filled(
    data: U8, form: I64, at: I64, grammar: Grammar, row: I64, n: int, words: I64, table: I32, known: int
) -> int:
    """Write a value where its form says. How many words are known then; -1: the form does not allow the value."""
    f, kind, value = form[FORM_FIELD], at[AT_KIND, form[FORM_FIELD]], at[AT_VALUE, form[FORM_FIELD]]
    wanted, column = form[FORM_KIND], form[FORM_COLUMN]
    if wanted == TEXT:
        # In bytes, of which a text has at least as many as characters: most is not exceeded, least is 0 or 1.
        length = at[AT_END, f] - value
        if kind != TEXT or length < form[FORM_LEAST] or length > form[FORM_MOST]:
            return NONE
        if column >= 0:
            word = numbered(data, value, at[AT_END, f], at[AT_HASH, f], words, table, known)
            if word < 0:
                return NONE
            row[column, n] = word
            return known + 1 if word == known else known
        return known
    if wanted == CHOICE:
        if kind != TEXT:
            return NONE
        word = find_word(data, value, at[AT_END, f], at[AT_HASH, f], grammar.names, grammar.spans, grammar.table)
        value = grammar.choice[f, word] if word >= 0 else NONE
        if value < 0:
            return NONE
    else:
        if kind == TEXT and wanted == TIME:
            value = instant(data, value, at[AT_END, f])
        elif kind != INTEGER:
            return NONE
        if value < form[FORM_LEAST] or value > form[FORM_MOST]:
            return NONE
    row[column, n] = value
    return known


@bare
def scan(
    data: U8,
    starts: I64,
    ends: I64,
    longest: int,
    grammar: Grammar,
    places: Places,
    at: I64,
    rows: I64,
    words: I64,
    table: I32,
    rest: I64,
) -> tuple[int, int, int]:
    """The plain ones of the records in `data` (`ends`: where the NUL behind each stands; `longest`: bytes of one).

    Each becomes a column of `rows` (-1 throughout before), its texts numbers of `words`, which `table` finds (-1
    throughout before). The numbers of the other records go to `rest`. `at` (N_AT, fields + 1) is scratch. Gives how
    many rows, words and others there are.
    """
    n = known = others = 0
    for record in range(len(ends)):
        start, end = starts[record], ends[record]
        seen = _fields(data, start, end, grammar, at) if end - start <= longest else NONE
        code = NONE
        if seen >= 0 and seen >> F_TYPE & 1 and at[AT_KIND, F_TYPE] == TEXT:
            value, stop = at[AT_VALUE, F_TYPE], at[AT_END, F_TYPE]
            word = find_word(data, value, stop, at[AT_HASH, F_TYPE], grammar.names, grammar.spans, grammar.table)
            code = grammar.choice[F_TYPE, word] if word >= 0 else NONE
        taken = code >= 0
        if taken:
            for k in range(grammar.forms.shape[1]):
                form = grammar.forms[code, k]
                f = form[FORM_FIELD]
                if f < 0:
                    break
                if not seen >> f & 1 or at[AT_KIND, f] == NONE:
                    if form[FORM_REQUIRED]:
                        taken = False
                        break
                    continue
                # A word of a record that is not taken in the end stays: harmless, it is a text of the run.
                now = _filled(data, form, at, grammar, rows, n, words, table, known)
                if now < 0:
                    taken = False
                    break
                known = now
        if not taken:
            if code >= 0:
                rows[:, n] = NONE
            rest[others] = record
            others += 1
            continue
        rows[ROW_RECORD, n] = record
        rows[ROW_TYPE, n] = code
        station = seen >> F_STATION & 1 == 1 and at[AT_KIND, F_STATION] == TEXT
        rows[ROW_PLACE, n] = _place(data, at, station, places)
        n += 1
    return n, known, others
