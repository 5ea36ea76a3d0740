"""The grammar of `fieldpost profiles`, with the older forms `profiles` and `profiles NAME [--write]`."""

from __future__ import annotations

import argparse

from gateway.cli.argtypes import duration_between

ACTIONS = ("ls", "show", "test", "record")
_A_WHILE = duration_between("1s", "1h")


def add_profiles(profiles: argparse.ArgumentParser) -> None:
    """Words and options below `profiles`. One flat grammar: a name alone means `show`, as it always did."""
    profiles.add_argument(
        "what",
        nargs="?",
        metavar="ls|show|test|record",
        help="list them (ls), show one, run the cases of some, or record one from a device",
    )
    profiles.add_argument(
        "name",
        nargs="*",
        metavar="NAME|FILE|DEVICE",
        help="show: a name; test: names, .yaml files (all); record: a device",
    )
    profiles.add_argument("--driver", metavar="NAME", help="whose: only its library, or whose keys a file has")
    profiles.add_argument("--library", action="store_true", help="only those of the library, not of the configuration")
    profiles.add_argument(
        "--write", action="store_true", help="show: copy it into the configuration; record: write the file"
    )
    profiles.add_argument("--resolved", action="store_true", help="show: what results of `extends` and parameters")
    profiles.add_argument("--param", action="append", metavar="NAME=VALUE", help="show: a parameter, with --resolved")
    profiles.add_argument("--for", dest="lasting", type=_A_WHILE, metavar="TIME", help="record: so long (10s)")
    profiles.add_argument("--strict", action="store_true", help="test: advice fails, too")
