"""The same parts and minutes, as another system may count them: why its OEE is not this one."""

from typing import Any, Final

from kernels.codes import BLOCKED, CLASS_NAMES, DOWN, GOOD, N_CLASSES, PLANNED_STOP, REWORK, SCRAP, STARVED
from kernels.figures.oee import AVAILABILITY_LOSS, NO_DATA, NOT_SCHEDULED, PERFORMANCE_LOSS, PLANNED_DOWN, POLICIES
from twin.report.figures import Figures, ratios_of

_WAITS: Final = (STARVED, BLOCKED)


def otherwise(figures: Figures) -> list[dict[str, Any]]:
    """One change at a time, all else as it is here: `what` is counted, `as` what, its `ns` (None: no time), and `oee`.

    Time of a loss as no planned time, other time as planned time in which nothing was made, all parts as good ones.
    """
    roles = POLICIES[figures.policy].roles
    lost = [c for c in range(N_CLASSES) if roles[c] in (AVAILABILITY_LOSS, PERFORMANCE_LOSS)]
    there = [c for c in range(N_CLASSES) if figures.vector[c]]
    both = [_WAITS] if all(c in lost and c in there for c in _WAITS) else []
    found = [_moved(figures, classes, PLANNED_STOP) for classes in [*((c,) for c in there if c in lost), *both]]
    found += [_moved(figures, (c,), DOWN) for c in there if roles[c] in (NO_DATA, NOT_SCHEDULED, PLANNED_DOWN)]
    if figures.made > figures.good:
        vector = list(figures.vector)
        vector[GOOD], vector[SCRAP], vector[REWORK] = figures.made, 0, 0
        found.append(
            {"what": "parts_not_good", "as": "good", "ns": None, "oee": ratios_of(vector, figures.policy)["oee"]}
        )
    return [one for one in found if one["oee"] is not None]


def _moved(figures: Figures, classes: tuple[int, ...], to: int) -> dict[str, Any]:
    """Time of `classes` as that of class `to`."""
    vector = list(figures.vector)
    ns = sum(vector[c] for c in classes)
    for c in classes:
        vector[c] = 0
    vector[to] += ns
    return {
        "what": CLASS_NAMES[classes[0]] if len(classes) == 1 else "waits",
        "as": "no_planned_time" if to == PLANNED_STOP else "planned_time",
        "ns": ns,
        "oee": ratios_of(vector, figures.policy)["oee"],
    }
