"""The version of the code, as snapshots, footers and exports name it."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def code_version() -> str:
    """The installed version; a bare source tree has none."""
    try:
        return version("taktwin")
    except PackageNotFoundError:
        return "unknown"
