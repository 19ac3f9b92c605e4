"""`KINDS`: the kinds of the golden cases of mass production, each a function of the case's `given`.

The adapters are thin: they read `given`, call the functions of the field and name the figures as the cases do. Ratios
come as `Fraction` (whole ones as integers), roots and logarithms as floats, undefined as None.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twin.figures.kinds import continuous, dfm, environment, sketch, spc
from twin.figures.kinds.given import Given, Kind, plain


def _plainly(kind: Kind, given: Given) -> Any:
    return plain(kind(given))


KINDS: dict[str, Callable[[Given], Any]] = {
    name: partial(_plainly, kind)
    for subject in (spc, environment, continuous, dfm, sketch)
    for name, kind in subject.KINDS.items()
}
