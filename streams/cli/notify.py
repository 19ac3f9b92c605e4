"""`twin notify`: alerts to people."""

import argparse
from typing import TYPE_CHECKING

from streams.cli.parser import add_bootstrap, command
from twin.alert_kinds import KINDS

if TYPE_CHECKING:
    from streams.cli.parser import Commands
    from streams.tools.notify import Way


def add(commands: "Commands") -> None:
    parser = command(
        commands,
        "notify",
        run,
        help="send alerts to a webhook or by mail, each once, until SIGTERM",
        example="twin notify --smtp mail.example:587 --sender twin@example.com --to shift@example.com --kinds down",
        more="A process of its own: what it cannot deliver holds up nobody else. It begins with the alerts that come\n"
        "after its first start, and after a restart goes on where it was, without repeating one.",
    )
    add_bootstrap(parser)
    parser.add_argument("--webhook", metavar="URL", help="POST each alert there, as JSON with `text` and `alert`")
    parser.add_argument("--webhook-file", metavar="FILE", help="file that holds the URL, where it is a secret")
    parser.add_argument("--smtp", metavar="HOST:PORT", help="mail server")
    parser.add_argument(
        "--smtp-security", choices=("starttls", "tls", "none"), default="starttls", help="default: starttls"
    )
    parser.add_argument("--smtp-user", metavar="NAME", default="", help="user at the mail server")
    parser.add_argument("--smtp-password-file", metavar="FILE", help="file that holds its password")
    parser.add_argument("--sender", metavar="ADDRESS", help="of the mails")
    parser.add_argument("--to", metavar="ADDRESS,...", help="who gets the mails")
    parser.add_argument(
        "--kinds",
        metavar="KIND,...",
        default="",
        help=f"only these kinds of alerts: {', '.join(KINDS)} (default: all)",
    )
    parser.add_argument("--raised-only", action="store_true", help="not when an alert is cleared")


def run(args: argparse.Namespace) -> int:
    from streams import interrupt
    from streams.cli.errors import USAGE, CommandError
    from streams.settings import Settings
    from streams.tools.notify import Notifier
    from streams.worker import logs

    settings = Settings.from_env(bootstrap=args.bootstrap)
    logs.configure(settings.log_level, settings.log_format)
    kinds = [kind.strip() for kind in args.kinds.split(",") if kind.strip()]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise CommandError(f"--kinds: no such kind of alert: {', '.join(unknown)}; there are {', '.join(KINDS)}", USAGE)
    interrupt.run(Notifier(settings, list(_ways(args)), kinds, cleared=not args.raised_only).run())
    return 0


def _ways(args: argparse.Namespace) -> "list[Way]":
    from pathlib import Path

    from streams.cli.errors import USAGE, CommandError
    from streams.tools.notify import Mail, Webhook

    ways: list[Way] = []
    url = args.webhook or (Path(args.webhook_file).read_text().strip() if args.webhook_file else "")
    if url:
        if not url.startswith(("http://", "https://")):
            raise CommandError("--webhook: not a URL that begins with https://", USAGE)
        ways.append(Webhook(url))
    if args.smtp:
        host, _, port = args.smtp.rpartition(":")
        if not host or not port.isdigit() or not args.sender or not args.to:
            raise CommandError("--smtp takes HOST:PORT, and needs --sender and --to", USAGE)
        password = Path(args.smtp_password_file).read_text().rstrip("\r\n") if args.smtp_password_file else ""
        ways.append(
            Mail(host, int(port), args.sender, args.to.split(","), args.smtp_security, args.smtp_user, password)
        )
    return ways
