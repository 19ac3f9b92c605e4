"""Overall throughput effectiveness (OTE) of a line: Muthiah and Huang 2007, doi 10.1080/00207540600786731.

OEE says how well one station uses its own time; OTE how well the line uses what its stations could make together.
Rates are theoretical parts per time, all in one unit; `oee` already contains quality, so rate x oee is good parts.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from kernels.jit import kernel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@kernel
def ote(rate: F64, oee: F64, quality: F64) -> tuple[float, int, F64]:
    """OTE of a series line, its constraint (lowest index at ties), and each station's candidate.

    All arrays (stations,) in the order of flow. Candidate of a station: the good parts per time the line would deliver
    if this station alone limited it, rate x oee x product of the quality of every later station. OTE is the lowest
    candidate over the lowest theoretical rate. NaN and -1 where any input is NaN, or no rate is above zero.
    """
    n = rate.size
    candidates = np.empty(n, np.float64)
    later = 1.0
    for i in range(n - 1, -1, -1):
        candidates[i] = rate[i] * oee[i] * later
        later *= quality[i]
    best = 0
    ideal = np.inf
    for i in range(n):
        if np.isnan(candidates[i]) or not rate[i] > 0.0:
            return np.nan, NONE, candidates
        if candidates[i] < candidates[best]:
            best = i
        ideal = min(ideal, rate[i])
    if n == 0:
        return np.nan, NONE, candidates
    return candidates[best] / ideal, best, candidates


@kernel
def _flow(rate: F64, quality: F64, inputs: I64, output: I64, supply: F64, out: F64, limit: I64) -> float:
    """Parts per time out of the line; fills `supply` (buffers,), `out` and `limit` (stages,), see `ote_network`."""
    supply[:] = 0.0
    delivered = 0.0
    for s in range(rate.size):
        out[s] = rate[s]
        limit[s] = NONE
        for j in range(inputs.shape[1]):
            b = inputs[s, j]
            if b == NONE:
                continue
            if supply[b] * quality[s] < out[s]:
                out[s] = supply[b] * quality[s]
                limit[s] = b
        if output[s] == NONE:
            delivered += out[s]
        else:
            supply[output[s]] += out[s]
    return delivered


@kernel
def _stages(rate: F64, oee: F64, quality: F64, stage: I64, n_stages: int) -> tuple[F64, F64, F64]:
    """Parallel stations of a stage as one: theoretical rate, good rate, and good parts per part taken in."""
    ideal = np.zeros(n_stages)
    good = np.zeros(n_stages)
    taken = np.zeros(n_stages)
    passed = np.zeros(n_stages)
    for i in range(rate.size):
        s = stage[i]
        ideal[s] += rate[i]
        good[s] += rate[i] * oee[i]
        # Stations share a stage's parts as they take them in: rate x availability x performance.
        takes = rate[i] * oee[i] / quality[i] if quality[i] > 0.0 else rate[i]
        taken[s] += takes
        passed[s] += takes * quality[i]
    yields = np.ones(n_stages)
    for s in range(n_stages):
        if taken[s] > 0.0:
            yields[s] = passed[s] / taken[s]
    return ideal, good, yields


@kernel
def _worst(buffer: int, output: I64, could: F64, out: F64) -> int:
    """The stage filling `buffer` that stays furthest behind what it could deliver."""
    best = NONE
    for s in range(output.size):
        if output[s] == buffer and (best == NONE or could[s] - out[s] > could[best] - out[best]):
            best = s
    return best


@kernel
def ote_network(
    rate: F64, oee: F64, quality: F64, stage: I64, inputs: I64, output: I64, n_buffers: int
) -> tuple[float, int]:
    """OTE of a line of series, parallel and assembly subsystems, and the station that limits it.

    `rate`, `oee`, `quality` float64 (stations,); `stage` int64 (stations,): stations of one stage work in parallel
    (same inputs, same output). Stages are in the order of flow: `inputs` int64 (stages, most inputs) buffers each
    stage needs, -1 filling; `output` int64 (stages,) the buffer it fills, -1 the end of the line. A buffer nobody
    fills is not an input: leave it out. A buffer feeds one stage.

    Series: the lower of own rate and what arrives, times quality. Assembly: the lowest of the inputs. Parallel, and
    several stages filling one buffer: the sum. The same over theoretical rates is the denominator. NaN and -1 where
    an input is NaN or nothing could be made even in theory. Among parallel stations the constraint is the one that
    loses most; at ties the lowest index.
    """
    n_stages = output.size
    for i in range(rate.size):
        if np.isnan(rate[i]) or np.isnan(oee[i]) or np.isnan(quality[i]):
            return np.nan, NONE
    ideal, good, yields = _stages(rate, oee, quality, stage, n_stages)
    supply = np.zeros(n_buffers)
    out = np.zeros(n_stages)
    limit = np.zeros(n_stages, np.int64)
    possible = _flow(ideal, np.ones(n_stages), inputs, output, supply, out, limit)
    if not possible > 0.0:
        return np.nan, NONE
    could = out.copy()
    delivered = _flow(good, yields, inputs, output, supply, out, limit)
    s = _worst(NONE, output, could, out)
    while limit[s] != NONE:
        s = _worst(limit[s], output, could, out)
    best = NONE
    for i in range(rate.size):
        if stage[i] == s and (best == NONE or rate[i] * (1.0 - oee[i]) > rate[best] * (1.0 - oee[best])):
            best = i
    return delivered / possible, best


@kernel
def ote_intervals(rate: F64, oee: F64, quality: F64, stage: I64, inputs: I64, output: I64, n_buffers: int) -> F64:
    """OTE of one line in each of several intervals, float64 (intervals,).

    `oee` and `quality` are (intervals, stations), the rest is as in `ote_network`.
    """
    found = np.empty(oee.shape[0])
    for k in range(found.size):
        found[k], _ = ote_network(rate, oee[k], quality[k], stage, inputs, output, n_buffers)
    return found
