"""The grammar of `fieldpost shadow`."""

from __future__ import annotations

import argparse


def add_shadow(shadow: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `shadow`; `common` are the options of every command."""
    actions = shadow.add_subparsers(title="actions", metavar="ACTION", dest="what", required=True)

    def add(name: str, text: str, metavar: str, nargs: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text, description=text, parents=[common], epilog=shadow.epilog)
        action.add_argument("names", nargs=nargs, metavar=metavar)
        return action

    add("get", "show desired, reported and local values, and how far each desired leaf has come", "DEVICE", "*")
    add("delta", "show only what differs; exit 1 when something does", "DEVICE", "*")
    add("set", "set values of one device at the gateway, all or none", "DEVICE.TAG=VALUE", "+")
    add("delete", "take values that were set at the gateway back", "DEVICE.TAG", "+")
    watch = add("watch", "go on with every change until interrupted", "DEVICE", "*")
    watch.add_argument("--since", metavar="REVISION", help="only the changes after this revision")
