"""What the figures were measured on: the machine, and the versions of what does the work."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streams.local.jars import KAFKA

_PACKAGES = ("taktwin", "numpy", "numba", "pyarrow", "msgspec", "aiokafka", "faust-streaming")


def machine() -> dict[str, str]:
    """Processor, cores, memory and system, as texts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _processor(),
        "cores": str(cores),
        "memory": f"{memory_bytes / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Version by name; what is not installed is left out. Kafka is the local one that `LocalBroker` starts."""
    found = {"Python": platform.python_version(), "Kafka": KAFKA}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")
