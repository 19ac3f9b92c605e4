"""What events of each type have of their own, from a row for each field to the columns of a block.

Which field goes where, and what stands there when it is absent, is in a table of the types. Whether it names anything
that there is, is not looked at.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.codes import INVALID, NONE
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

# Columns of a type's fields: the row it is read from (-1: no event has it), the row of what its texts mean (-1: it is a
# number itself), whether it must be there, the column it goes to (-1: no more fields) and what that has without it, and
# the form of the events that have it (-1: all).
FIELD_ROW, FIELD_MEANING, FIELD_REQUIRED, FIELD_COLUMN, FIELD_ABSENT, FIELD_FORM = range(6)
N_FIELD = 6
COLUMNS = ("a", "b", "c", "code", "x", "y", "z")
CODE = 3  # the first of the narrow ones


class Types(NamedTuple):
    """What is declared of the types."""

    fields: I64  # (types, most fields, N_FIELD)
    absent: I64  # (types, columns) where no field says otherwise
    forms: Bools  # (types,) whether its events have fields of one form only, which is then their code


@hot
def _field(field: I64, i: int, rows: I64, meaning: I32) -> int:
    """The value, -1 where it is absent; below that, it is invalid."""
    value = rows[field[FIELD_ROW], i] if field[FIELD_ROW] >= 0 else NONE
    if field[FIELD_MEANING] >= 0:
        value = np.int64(meaning[field[FIELD_MEANING], value])
    return INVALID if value < 0 and field[FIELD_REQUIRED] else value


@hot
def _form(fields: I64, i: int, rows: I64, meaning: I32) -> int:
    """The one form of which an event has fields, -1 if there is none or another."""
    form = NONE
    for k in range(len(fields)):
        field = fields[k]
        if field[FIELD_COLUMN] < 0:
            break
        if field[FIELD_FORM] >= 0 and _field(field, i, rows, meaning) != NONE:
            if form >= 0 and form != field[FIELD_FORM]:
                return NONE
            form = field[FIELD_FORM]
    return form


@bare
def lay_out(type_of: I32, rows: I64, meaning: I32, types: Types, wide: I64, narrow: I32, ok: Bools) -> None:
    """Write the columns, and clear `ok` where an event lacks a field, has an invalid one, or not those of one form.

    `meaning`: what stands for each text (its last column: for none).
    """
    for i in range(len(type_of)):
        t = type_of[i]
        if t < 0:
            ok[i] = False
            continue
        fields = types.fields[t]
        for column in range(CODE):
            wide[column, i] = types.absent[t, column]
        for column in range(CODE, len(COLUMNS)):
            narrow[column - CODE, i] = types.absent[t, column]
        form = NONE
        if types.forms[t]:
            form = _form(fields, i, rows, meaning)
            narrow[0, i] = form
            if form < 0:
                ok[i] = False
        for k in range(len(fields)):
            field = fields[k]
            if field[FIELD_COLUMN] < 0:
                break
            value = _field(field, i, rows, meaning)
            if value < NONE:
                ok[i] = False
            if field[FIELD_FORM] >= 0 and field[FIELD_FORM] != form:
                continue
            if value < 0:
                value = field[FIELD_ABSENT]
            if field[FIELD_COLUMN] < CODE:
                wide[field[FIELD_COLUMN], i] = value
            else:
                narrow[field[FIELD_COLUMN] - CODE, i] = value
