"""The grammar of what `fieldpost fleet` does with jobs: deploy, jobs, cancel, serve."""

from __future__ import annotations

import argparse
import re
from typing import Any

from gateway.cli.argtypes import duration, duration_between

_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?(B|kB|MB)\Z")
_UNITS = {"B": 1, "kB": 1000, "MB": 1_000_000}
_LEAST_RATE = 1000
_EXPIRY = duration_between("1m", "365d")


def add_deployments(add: Any) -> None:
    """`add(name, text, *parents)` makes an action."""
    deploy = add("deploy", "bring a release, a driver, a configuration or a restart to gateways, in waves", _serving())
    deploy.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="1.4.0, releases/NAME.json, drivers/VENDOR/NAME.json, configs/{gateway}/REV.json, a folder, or restart",
    )
    _add_choice(deploy)
    _add_job(deploy)
    _add_patience(deploy)
    deploy.add_argument("--serve", metavar="DIR", help="serve this repository over the broker meanwhile")
    deploy.add_argument("--dry-run", action="store_true", help="show the plan, send nothing")
    deploy.add_argument("--id", metavar="DEPLOYMENT", help="its name (default: made of the time)")
    deploy.add_argument("--resume", metavar="DEPLOYMENT", help="go on with one that was interrupted or stopped")
    deploy.add_argument("--records", metavar="DIR", help="where deployments are noted (~/.local/state/fieldpost)")

    jobs = add("jobs", "list the jobs that stand at the broker")
    jobs.add_argument("gateway", nargs="?", metavar="GATEWAY", help="only this one")
    jobs.add_argument("--ask", action="store_true", help="have the gateways tell how their jobs stand")
    cancel = add("cancel", "take jobs out of the broker; what can still be cancelled is")
    cancel.add_argument("gateway", nargs="*", metavar="GATEWAY")
    cancel.add_argument("--all-of", metavar="DEPLOYMENT", help="the jobs of one deployment, wherever they stand")
    serve = add("serve", "serve a repository to gateways until interrupted", _serving())
    serve.add_argument("serve", metavar="DIR", help="the repository: what `bundle init` made")


def _add_choice(deploy: argparse.ArgumentParser) -> None:
    group = deploy.add_argument_group("which gateways")
    group.add_argument(
        "--to",
        action="append",
        metavar="SELECTOR",
        help="id, pattern (`press-*`), all, online, offline, version<1.4; with commas all must hold; may be said again",
    )
    group.add_argument("--but", action="append", metavar="SELECTOR", help="not these; may be said again")
    group.add_argument("--canary", metavar="N", help="first so many (3, 5%%) or those of a selector; all must succeed")
    group.add_argument("--batch", type=_amount, metavar="N", help="so many (50, 10%%) in each wave (default: all)")


def _add_job(deploy: argparse.ArgumentParser) -> None:
    group = deploy.add_argument_group("the job")
    group.add_argument("--window", metavar="HH:MM-HH:MM", help="begin only then, in the gateway's time")
    group.add_argument("--group", metavar="NAME", help="name of a group, noted in the job")
    group.add_argument("--exp", type=_EXPIRY, default=None, metavar="TIME", help="not begun later than this (7d)")
    group.add_argument("--rev", type=_natural, metavar="N", help="revision of a configuration (default: of the time)")
    group.add_argument("--unchecked", action="store_true", help="send a configuration that this machine cannot check")
    group.add_argument("--replace", action="store_true", help="over jobs of others, too")


def _add_patience(deploy: argparse.ArgumentParser) -> None:
    group = deploy.add_argument_group("how long, how much")
    group.add_argument("--soak", type=duration, metavar="TIME", help="how long canaries have to be well (not at all)")
    group.add_argument("--max-failures", type=_whole, metavar="N", help="how many may fail (0); of canaries none may")
    group.add_argument("--within", type=duration, metavar="TIME", help="for a gateway's end (2h; 26h with a window)")
    group.add_argument("--answer", type=duration, metavar="TIME", help="for the first word of who is online (2m)")
    group.add_argument("--wait-offline", type=duration, metavar="TIME", help="for gateways that are away (not at all)")


def _serving() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("serving")
    group.add_argument(
        "--http", type=_address, metavar="ADDR:PORT", help="serve it by plain HTTP, too: for laboratories"
    )
    group.add_argument("--rate", type=_rate, metavar="BYTES", help="at most so much a second in all (1MB)")
    return parser


def _amount(text: str) -> Any:
    from gateway.fleet.waves import parse_amount

    amount = parse_amount(text)
    if amount is None or amount.number == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of gateways: write 50 or 10%")
    return amount


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _natural(text: str) -> int:
    if not text.isdecimal() or len(text) > 15 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _address(text: str) -> tuple[str, int]:
    host, colon, number = text.rpartition(":")
    if not colon or not host or not number.isdecimal() or int(number) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: write 127.0.0.1:8081, or 0.0.0.0:8081 for all")
    return host.strip("[]"), int(number)


def _rate(text: str) -> int:
    match = _SIZE.match(text)
    if match is None or (found := round(float(match[1]) * _UNITS[match[2]])) < _LEAST_RATE:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: write 500kB or 2MB, at least 1kB")
    return found
