"""Every benchmark, in the order in which they run: first what is quick and needs nothing."""

from typing import Final

from streams.bench import (
    audit_root,
    growth,
    growth_alone,
    in_kernels,
    in_process,
    keeping_up,
    latency,
    on_kafka,
    reading,
    restart,
)
from streams.bench.declare import Benchmark

_GROUPS: Final = (
    *(in_kernels, in_process, reading, audit_root, on_kafka, latency, restart),
    *(growth_alone, growth, keeping_up),
)
ALL: Final[tuple[Benchmark, ...]] = tuple(one for group in _GROUPS for one in group.BENCHMARKS)
