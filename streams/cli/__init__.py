"""The `twin` command: parse, run, and turn every error into one clear message and an exit code.

Nothing heavy is imported before a command needs it: `twin --help` answers at once.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run `twin` with `argv` (default: the process's own) and return the exit code."""
    from streams.cli.errors import INTERRUPTED, USAGE, explain
    from streams.cli.parser import build
    from streams.umask import tighten

    tighten()
    parser = build()
    args = parser.parse_args(argv)
    if args.version:
        from importlib.metadata import version

        sys.stdout.write(f"twin {version('taktwin')}\n")
        return 0
    if args.command is None:
        parser.print_help()
        return USAGE
    try:
        _assert_own_packages()
        return int(args.run(args))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has had enough: not a failure, and nothing may be flushed into the closed pipe.
        sys.stdout = None  # the interpreter skips the flush at exit
        return 0
    except Exception as error:
        from streams.settings import debug

        message, code = explain(error)
        if debug():
            import traceback

            traceback.print_exception(error)
        sys.stderr.write(f"twin: {message}\n")
        return code


def _assert_own_packages() -> None:
    """A distribution named `kernels` exists elsewhere; computing with it would be silent nonsense."""
    from streams.cli.errors import INTERNAL, CommandError

    home = Path(__file__).resolve().parents[2]
    for name in ("kernels", "twin"):
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if origin is None or origin.parent.parent != home:
            raise CommandError(
                f"the package `{name}` that Python finds is {origin}, not the one beside {home}; "
                "another distribution of that name is installed or on PYTHONPATH: remove it",
                INTERNAL,
            )
