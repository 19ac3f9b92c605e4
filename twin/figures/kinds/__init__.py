"""`KINDS`: the kinds of the golden cases of mass production, each a function of the case's `given`.

The adapters are thin: they read `given`, call the functions of the field and name the figures as the cases do. Ratios
come as `Fraction` (whole ones as integers), roots and logarithms as floats, undefined as None. What is wrong is refused
with a ValueError.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twin.figures.kinds import (
    assembly,
    batch,
    continuous,
    cost,
    customisation,
    dfm,
    environment,
    flow,
    inspection,
    maintenance,
    simulation,
    sketch,
    spc,
    supply,
    transition,
)
from twin.figures.kinds.given import Given, Kind, plain


def _plainly(name: str, kind: Kind, given: Given) -> Any:
    try:
        return plain(kind(given))
    except (TypeError, AttributeError, LookupError, OverflowError) as error:
        raise ValueError(f"given of a case of {name} has not the shape of its kind: {error!r}") from error


SUBJECTS = (
    spc,
    environment,
    continuous,
    dfm,
    sketch,
    inspection,
    assembly,
    flow,
    batch,
    cost,
    maintenance,
    supply,
    customisation,
    simulation,
    transition,
)
KINDS: dict[str, Callable[[Given], Any]] = {
    name: partial(_plainly, name, kind) for subject in SUBJECTS for name, kind in subject.KINDS.items()
}
