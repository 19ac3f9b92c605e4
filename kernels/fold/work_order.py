"""The order that a station works on: its own, else the line's.

A station's time with one order is a stretch. While it follows the line's order from that order's beginning, its stretch
is the line's (scope ORDER); else it has a beginning of its own (scope STRETCH).
"""

from kernels.fold import layout as at
from kernels.fold.arrays import State
from kernels.jit import hot


@hot
def order_of(x: State, line: int, s: int) -> int:
    """Text of the order that s works on, -1 none."""
    mode = x.stations[s, at.S_STRETCH]
    if mode == at.STRETCH_OWN:
        return int(x.stations[s, at.S_OWN_ORDER])
    return -1 if mode == at.STRETCH_LEFT else int(x.lines[line, at.L_ORDER])


@hot
def product_of(x: State, line: int, s: int) -> int:
    """Number of the product that s makes, -1 none or not in the plant."""
    mode = x.stations[s, at.S_STRETCH]
    if mode == at.STRETCH_OWN:
        return int(x.stations[s, at.S_OWN_PRODUCT])
    return -1 if mode == at.STRETCH_LEFT else int(x.lines[line, at.L_PRODUCT])


@hot
def product_text_of(x: State, line: int, s: int) -> int:
    mode = x.stations[s, at.S_STRETCH]
    if mode == at.STRETCH_OWN:
        return int(x.stations[s, at.S_OWN_PRODUCT_TEXT])
    return -1 if mode == at.STRETCH_LEFT else int(x.lines[line, at.L_PRODUCT_TEXT])


@hot
def quantity_of(x: State, line: int, s: int) -> int:
    """Parts ordered, -1 not told."""
    mode = x.stations[s, at.S_STRETCH]
    if mode == at.STRETCH_OWN:
        return int(x.stations[s, at.S_OWN_QUANTITY])
    return -1 if mode == at.STRETCH_LEFT else int(x.lines[line, at.L_QUANTITY])


@hot
def stretch_scope(x: State, s: int) -> int:
    return at.SCOPE_ORDER if x.stations[s, at.S_STRETCH] == at.STRETCH_OF_LINE else at.SCOPE_STRETCH


@hot
def stretch_start(x: State, line: int, s: int) -> int:
    if x.stations[s, at.S_STRETCH] == at.STRETCH_OF_LINE:
        return int(x.lines[line, at.L_ORDER_START])
    return int(x.stations[s, at.S_STRETCH_START])
