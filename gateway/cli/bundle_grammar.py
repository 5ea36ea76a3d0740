"""The grammar of `fieldpost bundle`."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli.argtypes import duration_between, positive

ROLES = ("root", "targets", "snapshot", "timestamp")


def add_bundle(bundle: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `bundle`; `common` are the options of every command."""
    actions = bundle.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)

    def add(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common, *parents], epilog=bundle.epilog)

    keys, repo = _keys(), _repo()
    init = add("init", "make a repository of releases and its keys", repo, keys)
    init.add_argument("--root-keys", type=positive, default=1, metavar="N", help="keys of the root role (1)")
    init.add_argument("--root-threshold", type=positive, default=1, metavar="N", help="how many of them sign (1)")
    init.add_argument("--targets-keys", type=positive, default=1, metavar="N", help="keys that sign releases (1)")
    init.add_argument("--targets-threshold", type=positive, default=1, metavar="N", help="how many of them sign (1)")
    _add_build(add)
    sign = add("sign", "sign a release, publish it in the repository, write it as a bundle", repo, keys)
    sign.add_argument("release", metavar="RELEASE", help="folder that `bundle build` or `bundle driver` wrote")
    sign.add_argument("--output", "-o", metavar="FILE", help="the bundle (NAME-VERSION.fpb beside the repository)")
    _add_vendor(add("vendor", "say whose drivers are published"), common)
    _add_driver(add("driver", "make driver packages, and sign them as their vendor", keys))
    _add_config(add("config", "sign a configuration folder for one gateway, and publish it", repo, keys))
    verify = add("verify", "check a bundle as a gateway would, and show what is in it")
    verify.add_argument("file", metavar="FILE", help="the bundle")
    verify.add_argument("--root", required=True, metavar="FILE", help="root metadata that is trusted: 1.root.json")
    rotate = add("rotate", "give a role new keys; the old ones are used once more, to say so", repo, keys)
    rotate.add_argument("role", choices=ROLES, help="whose keys")
    rotate.add_argument("--count", type=positive, metavar="N", help="new keys (as many as before)")
    rotate.add_argument("--threshold", type=positive, metavar="N", help="how many of them sign (as before)")
    refresh = add("refresh", "sign snapshot and timestamp anew, so that they do not expire", repo, keys)
    _add_days(refresh)
    _add_days(sign)
    withdraw = add("withdraw", "take a release out, so that nobody installs it any more", repo, keys)
    withdraw.add_argument("target", metavar="VERSION", help="its version")
    add("show", "show what a repository publishes, and when it expires", repo)


def _add_build(add: Any) -> None:
    build = add("build", "make a release of a folder of wheels")
    build.add_argument("wheels", metavar="WHEELS", help="folder that holds the wheels of the gateway and all it needs")
    build.add_argument("--output", "-o", required=True, metavar="DIR", help="folder to write; must not exist")
    build.add_argument("--platform", metavar="NAME", help="linux_aarch64, linux_x86_64... (this machine's)")
    build.add_argument("--python", metavar="TAG", help="cp311, cp313... (this Python's)")
    build.add_argument("--rollback-index", type=int, default=0, metavar="N", help="raise it to forbid the way back (0)")
    build.add_argument("--min-from", default="", metavar="VERSION", help="the oldest version that it may replace")
    build.add_argument("--glibc", default="", metavar="VERSION", help="the oldest C library that it runs with")
    within = duration_between("1s", "24h")
    build.add_argument(
        "--confirm", type=within, default=600, metavar="TIME", help="a trial without a good end is over (10m)"
    )
    build.add_argument("--soak", type=within, default=120, metavar="TIME", help="all must be well for so long (2m)")
    build.add_argument("--tries", type=int, choices=range(1, 11), default=3, metavar="N", help="starts of a trial (3)")
    build.add_argument("--security", action="store_true", help="it mends a security fault")
    build.add_argument("--notes", default="", metavar="URL", help="where people read what is new")
    build.add_argument(
        "--driver", action="append", default=[], metavar="FILE", help="a published driver that comes along (its .json)"
    )


def _add_vendor(vendor: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    steps = vendor.add_subparsers(title="actions", metavar="ACTION", dest="step", required=True)

    def add(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made = steps.add_parser(name, help=text, description=text, parents=[common, *parents], epilog=vendor.epilog)
        made.add_argument("name", metavar="NAME", help="of the vendor: a-z, 0-9, `-`")
        return made

    accept = add("add", "a vendor's keys: each of them signs, and none of before", _repo(), _keys())
    accept.add_argument("--key", action="append", required=True, metavar="PUB", help="public key; may be said again")
    add("rm", "nothing of a vendor is installed any more", _repo(), _keys())
    add("key", "make a key, as the vendor", _keys(signs=False))
    text = "show vendors, the ids of their keys, and what they publish"
    steps.add_parser("ls", help=text, description=text, parents=[common, _repo()], epilog=vendor.epilog)


def _add_driver(driver: argparse.ArgumentParser) -> None:
    driver.add_argument("wheels", nargs="*", metavar="WHEEL", help="the driver's and what it brings; none: sign anew")
    driver.add_argument("--vendor", required=True, metavar="NAME", help="who signs")
    driver.add_argument("--output", "-o", required=True, metavar="DIR", help="the vendor's folder: made, or added to")
    driver.add_argument("--requires-api", type=positive, metavar="N", help="contract of drivers (this release's)")
    driver.add_argument("--platform", default="", metavar="NAME", help="where a wheel is not for all: linux_aarch64...")
    driver.add_argument("--python", default="", metavar="TAG", help="where a wheel is not for all: cp311...")
    driver.add_argument("--glibc", default="", metavar="VERSION", help="the oldest C library that it runs with")
    driver.add_argument("--min-from", default="", metavar="VERSION", help="the oldest gateway that it runs in")
    driver.add_argument("--notes", default="", metavar="URL", help="where people read what is new")


def _add_config(config: argparse.ArgumentParser) -> None:
    config.add_argument("folder", metavar="DIR", help="the configuration folder")
    config.add_argument("--gateway", required=True, metavar="ID", help="the only gateway that takes it")
    config.add_argument("--rev", type=positive, required=True, metavar="N", help="its revision; they only grow")
    config.add_argument("--unchecked", action="store_true", help="sign one that this machine cannot check")
    _add_days(config)


def _add_days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=positive, metavar="N", help="life time of the timestamp (30)")


def _keys(*, signs: bool = True) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("keys")
    group.add_argument(
        "--keys", action="append", required=True, metavar="DIR", help="folder of keys, ROLE-N.pem; may be said again"
    )
    group.add_argument("--password-file", metavar="FILE", help="file that holds the keys' password")
    if signs:
        parser.add_argument("--accept-clock", action="store_true", help="sign though the clock seems to be wrong")
    return parser


def _repo() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--repo", required=True, metavar="DIR", help="folder of the repository")
    return parser
