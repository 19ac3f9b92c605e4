"""Where compiled kernels are kept: a folder per wing and state of its sources.

numba looks only at the file a kernel stands in, so after an edit of `counters.py` it would go on using the old code
that was compiled into the fold. Hence one folder per hash of all sources of a wing and of those that all wings share,
the modules beside this one. No wing imports another (`make lint`), so an edit of a statistic does not compile the fold,
which takes 80 s.

The one place in `kernels/` that looks at the environment, the processor and files: numba settles the folder when a
kernel is declared, which is before any caller could pass one. No number depends on it.
"""

import functools
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import llvmlite.binding as llvm
import numba.core.config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator

config: Any = numba.core.config  # makes its settings at run time
_NAMED: Final[str] = config.CACHE_DIR  # by the user, for all wings; read before it is set for each kernel

WINGS: Final = ("fold", "read", "figures")
ELSEWHERE: Final = "elsewhere"

# What code for a level of x86-64 may use beyond the level before it (the psABI's list, in LLVM's words).
_V2: Final = frozenset({"cx16", "sahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"})
_V3: Final = _V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}
_V4: Final = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_LEVELS: Final = {"x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4}


@dataclass(frozen=True, slots=True)
class Cache:
    """What was settled of a wing. problem: why its kernels are compiled anew at each start, for people."""

    folder: Path | None
    used: bool
    writable: bool = False
    problem: str = ""


def sources_hash(*folders: Path) -> str:
    """Of the names and bytes of all Python files of some folders, without those of folders in them."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            data = path.read_bytes()
            digest.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


@functools.cache
def of_wing(wing: str) -> Cache:
    """A wing's folder, unless the user named one for all. Settled when the first kernel of the wing is declared.

    The cache is pickled code, and whoever can write it can run his own here. So a folder is used where nobody but this
    account or root can put a file; one that is root's, or on a read-only disk, is read and never written (kernels that
    came with an image). For the same reason there is no falling back to a shared temporary folder.
    """
    if problem := _wrong_processor():
        return Cache(None, False, problem=problem)
    try:
        if _NAMED:
            folder = Path(_NAMED)
        else:
            # Code with bounds checks (NUMBA_BOUNDSCHECK) is other code.
            kind = "-checked" if config.BOUNDSCHECK else ""
            here = Path(__file__).parent
            # What is compiled elsewhere, in a test, may use any wing.
            wings = WINGS if wing == ELSEWHERE else (wing,)
            folder = _user_cache() / f"{wing}-{sources_hash(here, *(here / one for one in wings))}{kind}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.stat()
        except OSError as error:
            return Cache(folder, False, problem=f"{folder}: {error.strerror}")
    except RuntimeError as error:  # no home folder
        return Cache(None, False, problem=str(error))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Cache(folder, False, problem=f"{folder} can be written by other accounts")
    if found.st_uid not in (os.geteuid(), 0):
        return Cache(folder, False, problem=f"{folder} belongs to another account")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Cache(folder, True, writable=True)
    except OSError:
        return Cache(folder, True)


def settled() -> tuple[Cache, ...]:
    """Of every wing."""
    return tuple(of_wing(wing) for wing in WINGS)


def of_kernel(function: Callable[..., Any]) -> Cache:
    """Of the wing that a kernel is declared in."""
    module = function.__module__.split(".")
    return of_wing(module[1] if module[0] == "kernels" else ELSEWHERE)


def keeping(function: Callable[..., Any], dispatcher: Any) -> Any:
    """The dispatcher of a function, with its wing's folder for compiled code: only to read, where that is all."""
    cache = of_kernel(function)
    if not cache.used or not hasattr(dispatcher, "enable_caching"):
        return dispatcher
    # Looked at by numba's own locator, when it makes the cache of a kernel; ours is one folder a wing.
    config.CACHE_DIR = str(cache.folder)
    kept: Any = _Written if cache.writable else _ReadOnly  # numba has no types
    dispatcher._cache = kept(function)
    return dispatcher


class _Locator(UserProvidedCacheLocator):
    """Names the folder without a probe: numba's own passes over one that it cannot write.

    numba tells kernels apart by the path and the time of their file. The hash in our folder's name says more: with it
    the same sources in another place, a second checkout or an installed wheel, find what is compiled.
    """

    def __init__(self, py_func: Any, py_file: Any) -> None:
        super().__init__(py_func, py_file)  # type: ignore[no-untyped-call]  # numba has no types
        self._hashed = not _NAMED and of_kernel(py_func) is not of_wing(ELSEWHERE)
        if self._hashed:
            self._cache_path = str(Path(config.CACHE_DIR) / py_func.__module__)

    def get_source_stamp(self) -> Any:
        return "" if self._hashed else super().get_source_stamp()  # type: ignore[no-untyped-call]  # as above

    @classmethod
    def from_function(cls, py_func: Any, py_file: Any) -> Any:
        return cls(py_func, py_file)


class _Impl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012  as numba declares it


class _Written(FunctionCache):
    _impl_class = _Impl


class _ReadOnly(FunctionCache):
    _impl_class = _Impl

    def save_overload(self, sig: Any, data: Any) -> None:
        """What is not there was compiled for this process alone."""


@functools.cache
def _wrong_processor() -> str:
    """Why code for the named processor (NUMBA_CPU_NAME) cannot run here; then numba is set back to this one.

    Else the first kernel would end the process: illegal instruction.
    """
    missing = missing_features(config.CPU_NAME or "", llvm.get_host_cpu_features())
    if not missing:
        return ""
    name, config.CPU_NAME, config.CPU_FEATURES = config.CPU_NAME, None, None
    return f"this processor has no {', '.join(missing)}, which kernels compiled for {name} use"


def missing_features(level: str, features: Mapping[str, bool]) -> list[str]:
    """What a level of x86-64 needs and a processor (LLVM's names) has not; empty for any other name."""
    return sorted(name for name in _LEVELS.get(level, ()) if not features.get(name, False))


def _user_cache() -> Path:
    if own := os.environ.get("TAKTWIN_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "taktwin"
