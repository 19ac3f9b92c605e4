"""`twin warm`: the kernels compiled before anybody waits for them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from streams.cli.parser import add_json, command

if TYPE_CHECKING:
    from streams.cli.parser import Commands


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "warm",
        run,
        help="compile every kernel, or load it, and say how many had to be compiled",
        example="twin warm --expect-hits",
        more="For the build of an image, and before a worker's first start. Kernels are kept in TAKTWIN_CACHE\n"
        "(docs/deploying.md).",
    )
    parser.add_argument("--expect-hits", action="store_true", help="exit code 1 where one had to be compiled")
    parser.add_argument(
        "--into",
        metavar="FOLDER",
        help="copy there what was loaded, a fifth of what compiling leaves: for TAKTWIN_CACHE of an image",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from streams.cli import output
    from streams.cli.errors import OK, PROBLEM
    from streams.worker.warm import copy_loaded, warm

    found = warm()
    if args.json:
        output.as_json({name: getattr(found, name) for name in ("hits", "misses", "seconds", "folders", "problem")})
    else:
        where = found.problem or f"kept in {', '.join(found.folders)}"
        output.line(f"kernels: {found.hits} loaded, {found.misses} compiled in {found.seconds:.1f} s; {where}")
    if args.expect_hits and (found.misses or not found.hits):
        output.note(
            f"twin: {found.misses} kernels were compiled anew; {found.problem or 'the folder did not hold them'}"
        )
        return PROBLEM
    if args.into is not None:
        size = copy_loaded(Path(args.into))
        output.note(f"twin: {size / 1e6:.1f} MB of kernels copied into {args.into}")
    return OK
