"""The grammar of `fieldpost discovered` and `fieldpost browse`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from gateway.cli.argtypes import positive

AddAction = Callable[[str, str], argparse.ArgumentParser]


def add_discovered(discovered: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `discovered`; without an action the list."""
    _add_list(discovered)
    actions = discovered.add_subparsers(title="actions", metavar="ACTION", dest="what", required=False)
    discovered.set_defaults(what="ls")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common], epilog=discovered.epilog)

    _add_list(add("ls", "list what was seen and is not configured (the default)"))
    approve = add("approve", "make devices of what was seen")
    approve.add_argument("name", nargs="+", metavar="ID", help="an id, an identity, or the id that a device would get")
    approve.add_argument("--as", dest="as_", metavar="NAME", help="id of the device (default: of the watch rule)")
    approve.add_argument("--profile", metavar="NAME", help="its profile: of the configuration, or of the library")
    reject = add("reject", "do not ask about it any more")
    reject.add_argument("name", nargs="+", metavar="ID")
    forget = add("forget", "as if it had never been seen; a device that came in this way goes")
    forget.add_argument("name", nargs="+", metavar="ID")
    export = add("export", "show what the approved devices are in the configuration folder")
    export.add_argument("--write", action="store_true", help="write them into it")


def _add_list(command: argparse.ArgumentParser) -> None:
    command.add_argument("--channel", metavar="NAME", help="only of this channel")
    command.add_argument(
        "--only", choices=("pending", "approved", "rejected", "seen", "known"), help="only those in this state"
    )


def add_browse(browse: argparse.ArgumentParser) -> None:
    """`fieldpost browse`."""
    browse.add_argument("target", metavar="CHANNEL|URL", help="a channel, or the url of a server")
    browse.add_argument("--at", metavar="NODE", help="begin there, an address as a tag has it")
    browse.add_argument("--depth", type=positive, metavar="N", help="so many levels below it")
    browse.add_argument("--filter", metavar="PATTERN", help="only what fits, for example '*/Temp*'")
    browse.add_argument("--add", metavar="DEVICE", help="make tags of this device of what --pick picks")
    browse.add_argument("--pick", action="append", metavar="PATTERN", help="a path, name or address; * and ? as usual")
    browse.add_argument("--write", action="store_true", help="with --add: write the change")
