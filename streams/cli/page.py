"""`twin page`: the page that people open."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import add_bootstrap, command

if TYPE_CHECKING:
    from pathlib import Path

    from streams.cli.parser import Commands
    from streams.settings import Settings
    from twin.audit.mirror import Mirror


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "page",
        run,
        help="serve the page for the shop floor: plant, line, wall, operator, handover, why a number is what it is",
        example="twin page --audit audit --port 8088",
        more="Reads the topics and the audit root, and belongs to no group: any number of pages may\n"
        "run. It listens on this machine only, unless --host says otherwise; in a plant put it behind a reverse proxy\n"
        "with TLS, under any path. With --devices the devices of that file may enter reasons of stops, as events.\n"
        "Ctrl-C ends it.",
    )
    add_bootstrap(parser)
    parser.add_argument(
        "--audit", metavar="FOLDER", help="audit root, also s3://BUCKET/PREFIX (default: TAKTWIN_AUDIT, else audit)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=8088, metavar="PORT", help="port (default: 8088; 0: any free one)")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="host name by which browsers may call it, behind a proxy (may be repeated)",
    )
    parser.add_argument(
        "--devices",
        metavar="FILE",
        help="devices that may look or enter, with a token each (docs/page.md); absent: everybody looks, nobody enters",
    )
    parser.add_argument(
        "--factors", metavar="FILE", help="factors of CO2e and money (docs/usage.md), read anew for every report"
    )
    parser.add_argument("--no-kafka", action="store_true", help="only what is audited, such as of a replay")


def run(args: argparse.Namespace) -> int:
    import contextlib

    from streams import interrupt
    from streams.settings import Settings
    from streams.worker import logs

    settings = Settings.from_env(bootstrap=args.bootstrap, audit=args.audit)
    logs.configure(settings.log_level, settings.log_format)
    with contextlib.suppress(KeyboardInterrupt):
        interrupt.run(_serve(args, settings))
    return 0


async def _serve(args: argparse.Namespace, known: "Settings") -> None:
    from streams.cli.roots import followed
    from twin.audit.layout import existing_root, root_path
    from twin.store import is_url

    if is_url(known.audit):
        with followed(known.audit, args.no_kafka) as mirror:
            await _serve_root(args, known, mirror.folder, mirror)
        return
    # Beside Kafka it may be first: the workers make the root.
    root = existing_root(known.audit) if args.no_kafka else root_path(known.audit)
    await _serve_root(args, known, root, None)


async def _serve_root(args: argparse.Namespace, known: "Settings", root: "Path", mirror: "Mirror | None") -> None:
    import asyncio
    import sqlite3
    from pathlib import Path

    from aiohttp import web

    from streams.cli.errors import USAGE, CommandError
    from streams.cli.output import line
    from streams.page.app import Options, make_app
    from streams.page.devices import DevicesError

    options = Options(
        root=root,
        mirror=mirror,
        settings=None if args.no_kafka else known,
        host=args.host,
        port=args.port,
        devices=None if args.devices is None else Path(args.devices),
        names=tuple(args.name),
        factors=None if args.factors is None else Path(args.factors),
    )
    try:
        app = make_app(options)
    except DevicesError as error:
        raise CommandError(str(error), USAGE) from error
    except (OSError, sqlite3.Error) as error:
        raise CommandError(f"{args.devices}: its store cannot be used: {error}", USAGE) from error
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port)
        await site.start()
        host, port = runner.addresses[0][:2]
        line(f"the page is on http://{f'[{host}]' if ':' in host else host}:{port}/")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
