"""Arrow streams of known forms to numbers: a schema, dictionaries of text, and one batch that is not compressed.

A form is a stream that a reader of Arrow has taken: its messages byte by byte, but for the numbers that say how many
rows there are and where buffers stand. A record of the same form has nothing to be parsed, and what its numbers say is
checked before it is used: whatever the bytes are, nothing is read beyond them. A record that has no known form, or is
not sound, is left to whoever called.

Every part of a stream begins at a multiple of 8, as the format wants it, so all its numbers are read whole. Texts
become numbers of words, in the order in which rows first name them.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.codes import INVALID, NONE
from kernels.jit import bare, hot
from kernels.read.plain_json import F_LINE, F_STATION, MOST_STEPS, N_WORD, WORD_END, WORD_START, mixed, numbered, utf8

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]

# Columns of Forms.forms: bytes of the schema message, the first of the messages behind it and how many, the same of the
# columns, the fields it has as bits, and another form with this schema (-1: none).
FORM_SCHEMA, FORM_MESSAGE, FORM_MESSAGES, FORM_COLUMN, FORM_COLUMNS, FORM_FIELDS, FORM_NEXT = range(7)
N_FORM = 7
# Columns of Forms.messages: its first word of the pattern, its bytes without the body, and where in it stand the length
# of the body, the number of rows, the nodes and the buffers. The last message of a form is the batch.
MESSAGE_PATTERN, MESSAGE_BYTES, MESSAGE_BODY, MESSAGE_ROWS, MESSAGE_NODES, MESSAGE_BUFFERS = range(6)
N_MESSAGE = 6
# Columns of Forms.columns: its kind, field, first buffer; bytes of a value and which dictionary; scale and, where that
# is not 1, limit of an integer.
COLUMN_KIND, COLUMN_FIELD, COLUMN_BUFFER, COLUMN_WIDTH, COLUMN_DICTIONARY, COLUMN_SCALE, COLUMN_MOST = range(7)
N_COLUMN = 7
INTEGER, INDEX, TEXT = range(3)
# Columns of what is remembered of a record's dictionaries.
D_ENTRIES, D_VALID, D_OFFSETS, D_BYTES, D_CODES = range(5)
N_DICTIONARY = 5
# A further row of what is remembered of a word: the fields that name it, as bits.
WORD_FIELDS = N_WORD
N_NAMED = N_WORD + 1

# Rows of what is remembered of a place, a pair of words.
PLACE_LINE, PLACE_STATION = range(2)
N_PLACE = 2

_UNSEEN = -3
_END_OF_STREAM = 0xFFFFFFFF


class Data(NamedTuple):
    """The same bytes as numbers of each width: records one behind the other."""

    u8: npt.NDArray[np.uint8]
    i8: npt.NDArray[np.int8]
    i16: npt.NDArray[np.int16]
    i32: I32
    i64: I64


class Forms(NamedTuple):
    """What streams are known."""

    pattern: I64  # their messages behind the schema
    fixed: I64  # the bits of the pattern that a stream of the form has too
    forms: I64  # (forms, N_FORM)
    messages: I64  # (messages, N_MESSAGE)
    columns: I64  # (columns, N_COLUMN)


class Limits(NamedTuple):
    """What is taken at most, and what an event takes in memory beside its bytes."""

    rows: int  # of a record
    texts: int  # bytes of a record with every row's texts written out
    unmeasured: int  # bytes up to which these are taken for as long as all texts of the dictionaries, each row
    decoded: int  # bytes of all records: the one that reaches it is the last
    event: int


class Out(NamedTuple):
    """What is written."""

    rows: I64  # a row for each field that is asked for
    record: I64  # the record of each event
    place: I64  # the place of each event
    words: I64  # (N_NAMED, most words)
    table: I32  # hash table of the words, -1 throughout before
    places: I64  # (N_PLACE, most places)
    place_table: I32  # hash table of the places, -1 throughout before
    known: I64  # how many words there are, and how many places
    names: I64  # scratch (2, most rows of a record): the words of lines and stations
    codes: I32  # scratch: as many as a record can have entries of dictionaries
    dictionaries: I64  # scratch (most dictionaries of a form, N_DICTIONARY)


@hot
def _number(i64: I64, start: int, at: int) -> int:
    """A number of a message, 0 where it has none."""
    return int(i64[(start + at) >> 3]) if at >= 0 else 0


@hot
def _has(i64: I64, bits: int, i: int) -> bool:
    """Whether bit `i` of those that stand at `bits` is set. All are where none stand."""
    return bits == 0 or (i64[(bits >> 3) + (i >> 6)] >> (i & 63)) & 1 == 1


@bare
def _set_bits(i64: I64, bits: int, n: int) -> int:
    count = 0
    for k in range((n + 63) >> 6):
        word = i64[(bits >> 3) + k]
        rest = n - (k << 6)
        if rest < 64:
            word &= (1 << rest) - 1
        word -= (word >> 1) & 0x5555555555555555
        word = (word & 0x3333333333333333) + ((word >> 2) & 0x3333333333333333)
        word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0F
        count += (word * 0x0101010101010101) >> 56
    return count


@bare
def _buffer(i64: I64, buffer: int, body: int, length: int, least: int) -> int:
    """Where the buffer stands; -1: not within the body, or shorter than `least`."""
    offset, size = i64[buffer >> 3], i64[(buffer >> 3) + 1]
    if size < least or size > length or offset < 0 or offset > length - size or offset & 7:
        return NONE
    return int(body + offset)


@bare
def _valid(i64: I64, node: int, buffer: int, body: int, length: int, n: int) -> int:
    """Where the bits of `n` values stand that are not null; 0: all are; -1: not sound."""
    nulls = i64[(node >> 3) + 1]
    if i64[node >> 3] != n or nulls < 0 or nulls > n:
        return NONE
    if nulls == 0:
        return 0
    bits = _buffer(i64, buffer, body, length, (n + 7) >> 3)
    # A last word of bits may reach beyond its buffer, not beyond the body: both are multiples of 8.
    return bits if bits >= 0 and _set_bits(i64, bits, n) == n - nulls else NONE


@bare
def _texts(data: Data, offsets: int, n: int, start: int, size: int) -> bool:
    """Whether `n` texts stand one behind the other in the `size` bytes from `start` on, all of them UTF-8."""
    first = last = data.i32[offsets >> 2]
    if first < 0:
        return False
    for i in range(1, n + 1):
        end = data.i32[(offsets >> 2) + i]
        if end < last:
            return False
        last = end
    if last > size:
        return False
    wide = np.uint8(0)
    for i in range(start + first, start + last):
        wide |= data.u8[i]
    if wide < 0x80:
        return True
    for i in range(n):
        a, b = data.i32[(offsets >> 2) + i], data.i32[(offsets >> 2) + i + 1]
        if not utf8(data.u8, start + a, start + b):
            return False
    return True


@hot
def _word(data: Data, offsets: int, start: int, i: int, out: Out) -> int:
    """The number of text `i`, -1 if it is a new one and there is no room."""
    at, end = start + data.i32[(offsets >> 2) + i], start + data.i32[(offsets >> 2) + i + 1]
    h = w = 0
    for k in range(at, end):
        w = (w << 8) | int(np.int64(data.u8[k]))
        if (k - at) & 7 == 7:
            h = mixed(h, w)
            w = 0
    known = out.known[0]
    word = numbered(data.u8, at, end, mixed(h, w ^ (end - at)), out.words, out.table, known)
    if word == known:
        out.words[WORD_FIELDS, word] = 0
        out.known[0] = known + 1
    return word


@bare
def _dictionary(data: Data, start: int, message: I64, body: int, length: int, found: I64, codes: I32) -> bool:
    """Look where the texts of a dictionary stand. False: not sound."""
    i64 = data.i64
    n = _number(i64, start, message[MESSAGE_ROWS])
    node, buffers = start + message[MESSAGE_NODES], start + message[MESSAGE_BUFFERS]
    if n < 0 or n > length:
        return False
    found[D_ENTRIES] = n
    found[D_VALID] = _valid(i64, node, buffers, body, length, n)
    found[D_OFFSETS] = _buffer(i64, buffers + 16, body, length, 4 * (n + 1) if n else 0)
    found[D_BYTES] = _buffer(i64, buffers + 32, body, length, 0)
    if found[D_VALID] < 0 or found[D_OFFSETS] < 0 or found[D_BYTES] < 0:
        return False
    if n and not _texts(data, found[D_OFFSETS], n, found[D_BYTES], i64[((buffers + 32) >> 3) + 1]):
        return False
    # No text and yet an offset: Arrow looks at it, and wants it whole. The body is a multiple of 8, so it can be read.
    size = i64[((buffers + 16) >> 3) + 1]
    if n == 0 and size > 0 and (size < 4 or data.i32[found[D_OFFSETS] >> 2] < 0):
        return False
    codes[found[D_CODES] : found[D_CODES] + n] = _UNSEEN
    return True


@bare
def _integers(i64: I64, at: int, valid: int, column: I64, row: I64) -> None:
    scale, most = column[COLUMN_SCALE], column[COLUMN_MOST]
    if scale == 1:
        for i in range(len(row)):
            value = i64[(at >> 3) + i]
            row[i] = value if value >= 0 else INVALID
    else:
        for i in range(len(row)):
            value = i64[(at >> 3) + i]
            row[i] = value * scale if 0 <= value <= most else INVALID
    if valid:
        for i in range(len(row)):
            if not _has(i64, valid, i):
                row[i] = NONE


@bare
def _indices(data: Data, at: int, width: int, row: I64) -> None:
    if width == 4:
        for i in range(len(row)):
            row[i] = data.i32[(at >> 2) + i]
    elif width == 1:
        for i in range(len(row)):
            row[i] = data.i8[at + i]
    else:
        for i in range(len(row)):
            row[i] = data.i16[(at >> 1) + i]


@bare
def _named(data: Data, valid: int, dictionary: I64, field: int, row: I64, out: Out) -> bool:
    """Indices of a dictionary to words. False: an index beyond it, or no room."""
    n, codes = dictionary[D_ENTRIES], out.codes[dictionary[D_CODES] :]
    for i in range(len(row)):
        if not _has(data.i64, valid, i):
            row[i] = NONE
            continue
        index = row[i]
        if index < 0 or index >= n:
            return False
        word = codes[index]
        if word == _UNSEEN:
            word = NONE
            if _has(data.i64, dictionary[D_VALID], index):
                word = _word(data, dictionary[D_OFFSETS], dictionary[D_BYTES], index, out)
                if word < 0:
                    return False
            codes[index] = word
        row[i] = word
    # Not where a word is first seen: two columns may have one dictionary.
    for index in range(n):
        if codes[index] >= 0:
            out.words[WORD_FIELDS, codes[index]] |= 1 << field
    return True


@bare
def _spelled(data: Data, offsets: int, start: int, valid: int, field: int, row: I64, out: Out) -> bool:
    """The same for texts of which each stands in its row."""
    for i in range(len(row)):
        row[i] = NONE
        if _has(data.i64, valid, i):
            word = _word(data, offsets, start, i, out)
            if word < 0:
                return False
            out.words[WORD_FIELDS, word] |= 1 << field
            row[i] = word
    return True


@hot
def _written_out(row: I64, words: I64) -> int:
    """Bytes of a column's texts, each as often as a row names it."""
    total = 0
    for i in range(len(row)):
        if row[i] >= 0:
            total += words[WORD_END, row[i]] - words[WORD_START, row[i]]
    return total


@bare
def _column(data: Data, node: int, buffer: int, body: int, length: int, column: I64, row: I64, out: Out) -> bool:
    """Write one column of a batch. False: not sound."""
    kind, n = column[COLUMN_KIND], len(row)
    valid = _valid(data.i64, node, buffer, body, length, n)
    at = _buffer(data.i64, buffer + 16, body, length, column[COLUMN_WIDTH] * (n + 1 if kind == TEXT else n))
    if valid < 0 or at < 0:
        return False
    if kind == INTEGER:
        _integers(data.i64, at, valid, column, row)
        return True
    if kind == INDEX:
        _indices(data, at, column[COLUMN_WIDTH], row)
        return _named(data, valid, out.dictionaries[column[COLUMN_DICTIONARY]], column[COLUMN_FIELD], row, out)
    start = _buffer(data.i64, buffer + 32, body, length, 0)
    if start < 0 or not _texts(data, at, n, start, data.i64[((buffer + 32) >> 3) + 1]):
        return False
    return _spelled(data, at, start, valid, column[COLUMN_FIELD], row, out)


@bare
def _placed(first: int, n: int, out: Out) -> bool:
    """Lines and stations to places. False: no room, or one that is not found soon."""
    places, table = out.places, out.place_table
    mask = len(table) - 1
    for i in range(n):
        line, station = out.names[PLACE_LINE, i], out.names[PLACE_STATION, i]
        slot = mixed(line, station) & mask
        for step in range(MOST_STEPS + 1):
            if step == MOST_STEPS:
                return False
            k = int(np.int64(table[slot]))
            if k < 0:
                k = out.known[1]
                if k == places.shape[1]:
                    return False
                places[PLACE_LINE, k], places[PLACE_STATION, k] = line, station
                table[slot] = k
                out.known[1] = k + 1
                break
            if places[PLACE_LINE, k] == line and places[PLACE_STATION, k] == station:
                break
            slot = (slot + 1) & mask
        out.place[first + i] = k
    return True


@bare
def _batch(
    data: Data, start: int, message: I64, body: int, length: int, columns: I64, row_of: I64, first: int, n: int,
    out: Out, measured: bool,
) -> int:  # fmt: skip
    """Write the columns of a batch: bytes of its texts written out if they are `measured`, as far as they stand in
    dictionaries. -1: not sound, or no room."""
    written = 0
    out.names[PLACE_STATION, :n] = NONE
    for k in range(len(columns)):
        column = columns[k]
        field = column[COLUMN_FIELD]
        node = start + message[MESSAGE_NODES] + 16 * k
        buffer = start + message[MESSAGE_BUFFERS] + 16 * column[COLUMN_BUFFER]
        # A function cannot return an array here.
        if field == F_LINE:
            row = out.names[PLACE_LINE][:n]
        elif field == F_STATION:
            row = out.names[PLACE_STATION][:n]
        else:
            row = out.rows[row_of[field]][first : first + n]
        if not _column(data, node, buffer, body, length, column, row, out):
            return NONE
        if measured and column[COLUMN_KIND] == INDEX:
            written += _written_out(row, out.words)
    return written if _placed(first, n, out) else NONE


@bare
def _record(
    data: Data, at: int, end: int, form: I64, forms: Forms, limits: Limits, row_of: I64, first: int, out: Out
) -> tuple[int, int]:
    """Read a record if it has this form: its events, and its bytes once decoded. No events: it is left."""
    i64 = data.i64
    at += form[FORM_SCHEMA]
    texts = decoded = entries = body = length = 0
    last = form[FORM_MESSAGES] - 1
    for m in range(last + 1):
        message = forms.messages[form[FORM_MESSAGE] + m]
        body = at + message[MESSAGE_BYTES]
        if body + 8 > end:
            return 0, 0
        differ = 0
        for k in range(message[MESSAGE_BYTES] >> 3):
            p = message[MESSAGE_PATTERN] + k
            differ |= (i64[(at >> 3) + k] ^ forms.pattern[p]) & forms.fixed[p]
        if differ:
            return 0, 0
        length = _number(i64, at, message[MESSAGE_BODY])
        if length < 0 or length > end - body - 8 or length & 7:
            return 0, 0
        decoded += length
        if m < last:
            found = out.dictionaries[m]
            found[D_CODES] = entries
            if not _dictionary(data, at, message, body, length, found, out.codes):
                return 0, 0
            entries += found[D_ENTRIES]
            texts += length
            at = body + length
    if body + length + 8 != end or i64[(end - 8) >> 3] != _END_OF_STREAM:
        return 0, 0
    batch = forms.messages[form[FORM_MESSAGE] + last]
    columns = forms.columns[form[FORM_COLUMN] : form[FORM_COLUMN] + form[FORM_COLUMNS]]
    n = _number(i64, at, batch[MESSAGE_ROWS])
    if n <= 0 or n > limits.rows or first + n > out.rows.shape[1]:
        return 0, 0
    measured = n * texts > limits.unmeasured
    written = _batch(data, at, batch, body, length, columns, row_of, first, n, out, measured)
    if written < 0 or written > limits.texts:
        return 0, 0
    if not measured:
        written = n * texts
    return n, decoded + written + limits.event * n


@bare
def read(
    data: Data, ends: I64, form_of: I64, numbers: I64, forms: Forms, limits: Limits, row_of: I64, out: Out, sizes: I64
) -> int:
    """Read the records of `data` that have the form `form_of` each, or one of those next to it.

    `ends` is where each ends, `numbers` what it is called in `Out.record`, `row_of` the row of each field (-1: no form
    of these has it). `sizes` becomes the bytes of each record once decoded, 0 where it is left. Gives how many events
    there are.
    """
    n = start = total = fields = 0
    sizes[:] = 0
    out.known[:] = 0
    for r in range(len(ends)):
        f = form_of[r]
        events = size = 0
        while f >= 0 and events == 0:
            form = forms.forms[f]
            events, size = _record(data, start, ends[r], form, forms, limits, row_of, n, out)
            fields = form[FORM_FIELDS]
            f = form[FORM_NEXT]
        start = ends[r]
        if events == 0:
            continue
        for field in range(len(row_of)):
            if row_of[field] >= 0 and not fields >> field & 1:
                out.rows[row_of[field], n : n + events] = NONE
        out.record[n : n + events] = numbers[r]
        sizes[r] = size
        n += events
        total += size
        if total > limits.decoded:
            break
    return n
