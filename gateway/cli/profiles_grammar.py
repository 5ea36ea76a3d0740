"""The grammar of `fieldpost profiles`, with the older forms `profiles` and `profiles NAME [--write]`."""

from __future__ import annotations

import argparse

ACTIONS = ("ls", "show", "test")


def add_profiles(profiles: argparse.ArgumentParser) -> None:
    """Words and options below `profiles`. One flat grammar: a name alone means `show`, as it always did."""
    profiles.add_argument(
        "what", nargs="?", metavar="ls|show|test", help="list them (ls), show one, or run the cases of some"
    )
    profiles.add_argument("name", nargs="*", metavar="NAME|FILE", help="show: a name; test: names, .yaml files (all)")
    profiles.add_argument("--driver", metavar="NAME", help="whose: only its library, or whose keys a file has")
    profiles.add_argument("--library", action="store_true", help="only those of the library, not of the configuration")
    profiles.add_argument("--write", action="store_true", help="show: copy it into the configuration folder")
    profiles.add_argument("--resolved", action="store_true", help="show: what results of `extends` and parameters")
    profiles.add_argument("--param", action="append", metavar="NAME=VALUE", help="show: a parameter, with --resolved")
    profiles.add_argument("--strict", action="store_true", help="test: advice fails, too")
