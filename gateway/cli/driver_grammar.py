"""The grammar of `fieldpost driver`."""

from __future__ import annotations

import argparse

from gateway.cli.argtypes import duration


def add_driver(driver: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `driver`; without an action the list."""
    actions = driver.add_subparsers(title="actions", metavar="ACTION", dest="what", required=False)
    driver.set_defaults(what="ls")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common], epilog=driver.epilog)

    add("ls", "list the installed drivers, and why one cannot be used (the default)")
    new = add("new", "write the project of a new driver: code, a peer, tests, all of them passing")
    new.add_argument("name", metavar="NAME", help="of the driver: small letters and digits, for example acme")
    new.add_argument("--push", action="store_true", help="of a device that sends by itself (else: that is asked)")
    new.add_argument("--dir", metavar="DIR", default=".", help="where the project's folder is made (.)")
    test = add("test", "check that an installed driver keeps the contract, with a good and with a faulty peer")
    test.add_argument("name", metavar="NAME", help="of an installed driver")
    test.add_argument("--channel", metavar="FILE", help="a channel file that leads to a device (the driver's own peer)")
    test.add_argument("--unreachable", metavar="URL", help="where nobody answers (a port that is closed)")
    test.add_argument(
        "--write", action="append", metavar="DEVICE.TAG=VALUE", help="what may be written; else nothing is"
    )
    test.add_argument("--udp", action="store_true", help="with --channel: the protocol runs over UDP")
    test.add_argument("--no-proxy", action="store_true", help="no faults are made between driver and device")
    test.add_argument("--only", action="append", metavar="CHECK", help="this check alone")
    test.add_argument("--patience", type=duration, default=10.0, metavar="TIME", help="for the first values (10s)")
    quality = add("quality", "show the level of an installed driver, and what the next one asks for")
    quality.add_argument("name", metavar="NAME", help="of an installed driver")
    quality.add_argument("--dir", metavar="DIR", help="its project, for the tests that its quality.yaml names (.)")
