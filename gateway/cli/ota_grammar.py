"""The grammar of `fieldpost ota`."""

from __future__ import annotations

import argparse

from gateway.cli.argtypes import duration


def add_ota(ota: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `ota`; `common` are the options of every command."""
    actions = ota.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common], epilog=ota.epilog)

    install = add("install", "have a release or driver verified, staged, tried, and kept if all is well")
    text = "a bundle (.fpb), or what the repository has: 1.4.0, drivers/acme/press-2.1.0.json"
    install.add_argument("file", metavar="FILE|TARGET", help=text)
    install.add_argument("--job", metavar="ID", help="its name in the history (a new one)")
    install.add_argument(
        "--wait", type=duration, default=1800.0, metavar="TIME", help="how long to wait for its end (30m)"
    )
    install.add_argument("--no-wait", action="store_true", help="end when it is asked for")
    install.add_argument(
        "--accept-stale-timestamp",
        action="store_true",
        help="take it though its timestamp has expired; nothing else may",
    )
    add("status", "show which release runs, which was before, and what is being tried")
    add("history", "show how the last updates ended")
    add("confirm", "keep the release that is being tried, whatever the gates say")
    add("rollback", "go back to the release before, or end a trial")
    add("gc", "remove releases and wheels that nobody needs")
