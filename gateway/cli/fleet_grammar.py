"""The grammar of `fieldpost fleet`."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli.argtypes import duration
from gateway.cli.deploy_grammar import add_deployments


def add_fleet(fleet: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `fleet`; `common` are the options of every command."""
    actions = fleet.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    broker = _broker()

    def add(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return actions.add_parser(
            name, help=text, description=text, parents=[common, broker, *parents], epilog=fleet.epilog
        )

    add("ls", "list all gateways that the broker knows")
    show = add("show", "show a gateway, its devices and its tags")
    show.add_argument("gateway", metavar="GATEWAY")
    _add_shadows(add)
    _add_commands(add)
    add_deployments(add)
    watch = add("watch", "show what happens until interrupted")
    watch.add_argument("gateway", nargs="?", metavar="GATEWAY", help="only this one")
    watch.add_argument("--device", metavar="DEVICE", help="only this device's shadow and telemetry")
    watch.add_argument("--telemetry", action="store_true", help="readings, too")
    watch.add_argument("--for", dest="lasting", type=duration, metavar="TIME", help="end after this time")


def _broker() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("the broker")
    group.add_argument("--url", help="broker (default: the first uplink of the configuration)")
    group.add_argument("--tenant", metavar="ID", help="tenant (default: of the configuration)")
    group.add_argument("--ca", metavar="FILE", help="certificate authority for mqtts and wss")
    group.add_argument("--cert", metavar="FILE", help="our certificate")
    group.add_argument("--key", metavar="FILE", help="its key")
    group.add_argument("--username", metavar="NAME", help="user name at the broker")
    group.add_argument("--password-file", metavar="FILE", help="file that holds the password")
    group.add_argument("--timeout", type=duration, default=10.0, metavar="TIME", help="of each answer (10s)")
    return parser


def _add_shadows(add: Any) -> None:
    get = add("get", "show both sides of a device's shadow", _device())
    get.add_argument("tag", nargs="*", metavar="TAG", help="only these")
    changing = _changing()
    set_ = add("set", "change what is desired of a device", _device(), changing)
    set_.add_argument("assignment", nargs="+", metavar="TAG=VALUE")
    set_.add_argument("--new", action="store_true", help="begin a new document over one that is lost or unreadable")
    set_.add_argument("--tolerance", type=float, metavar="N", help="for gateways that do not say what became of a tag")
    delete = add("delete", "take tags out of what is desired; the device keeps its values", _device(), changing)
    delete.add_argument("tag", nargs="+", metavar="TAG")
    adopt = add("adopt", "make what was set at the gateway the desired value", _device(), changing)
    adopt.add_argument("tag", nargs="*", metavar="TAG", help="only these (default: all that were set there)")


def _add_commands(add: Any) -> None:
    read = add("read", "read tags from a device now", _timed())
    read.add_argument("gateway", metavar="GATEWAY")
    read.add_argument("tag", nargs="+", metavar="DEVICE[.TAG]", help="all of one device")
    write = add("write", "write tags of a device once, now", _timed())
    write.add_argument("gateway", metavar="GATEWAY")
    write.add_argument("assignment", nargs="+", metavar="DEVICE.TAG=VALUE", help="all of one device")
    command = add("command", "have a gateway do something once", _timed())
    command.add_argument("gateway", metavar="GATEWAY")
    command.add_argument("op", metavar="OP", help="for example rebirth")
    command.add_argument("--device", metavar="DEVICE", help="where the op takes one")
    command.add_argument("--args", metavar="JSON", help="an object")


def _device() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("gateway", metavar="GATEWAY")
    parser.add_argument("device", metavar="DEVICE")
    return parser


def _changing() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--wait",
        type=_wait,
        metavar="TIME",
        help="for what the device makes of it (10s, nothing where the gateway is offline); 0: not at all",
    )
    parser.add_argument("--if-ver", type=_version, metavar="N", help="only if the document is at this version")
    parser.add_argument("--patch", action="store_true", help="for gateways that keep the document themselves")
    parser.add_argument(
        "--max-document", type=_version, metavar="BYTES", help="size that the gateway takes (8192, at most 65536)"
    )
    return parser


def _timed() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--ttl", type=duration, default=30.0, metavar="TIME", help="not done later than this (30s)")
    parser.add_argument("--rid", metavar="ID", help="the command's id; the same again has no second effect")
    return parser


def _wait(text: str) -> float:
    return 0.0 if text in {"0", "0s"} else duration(text)


def _version(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
