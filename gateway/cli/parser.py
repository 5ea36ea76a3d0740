"""The command line's grammar. Every option here stands in docs/reference/cli.md; a test compares the two."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import keyword
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gateway.cli.argtypes import Add, duration
from gateway.cli.session import Session

_EPILOG = """exit status: 0 ok, 1 failed, 2 wrong usage, 69 no gateway is running, 78 bad configuration"""
_HELP = {"-h", "--help"}


class UsageError(Exception):
    """Words that the grammar does not know; `usage` is the form that it does."""

    def __init__(self, text: str, usage: str) -> None:
        super().__init__(text)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """argparse, but a shortened option is an error: scripts must not break when an option is added."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["allow_abbrev"] = False
        super().__init__(**kwargs)
        self._mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:  # type: ignore[override]
        """Words that may be left out stand on either side of options: `profiles test --strict meter`. argparse by
        itself takes them for left out as soon as it meets an option.
        """
        if self._mixing or not self._has_optional_words():
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def _has_optional_words(self) -> bool:
        kinds = {action.nargs for action in self._get_positional_actions()}
        return not kinds.isdisjoint({"?", "*"}) and kinds.isdisjoint({argparse.PARSER, argparse.REMAINDER})

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self.format_usage())


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The namespace of a command; `run` is the function to call. Raises UsageError."""
    if "run" in words and _HELP.isdisjoint(words):
        with contextlib.suppress(UsageError):  # the gateway lives long, and has no use for all the other commands
            return _running().parse_args(list(words))
    parser = build()
    args = parser.parse_args(list(words))
    if getattr(args, "version", False) and not hasattr(args, "run"):
        args = parser.parse_args([*words, "version"])
    if not hasattr(args, "run"):
        raise UsageError("no command is named", parser.format_help())
    return args


def build() -> argparse.ArgumentParser:
    """The whole grammar."""
    from gateway.cli.alarms_grammar import add_alarms
    from gateway.cli.bundle_grammar import add_bundle
    from gateway.cli.configuration_grammar import add_backup, add_configuration, add_device, add_lists
    from gateway.cli.discovery_grammar import add_browse, add_discovered
    from gateway.cli.driver_grammar import add_driver
    from gateway.cli.field_grammar import add_field, add_simulate
    from gateway.cli.fleet_grammar import add_fleet
    from gateway.cli.ota_grammar import add_ota
    from gateway.cli.profiles_grammar import add_profiles
    from gateway.cli.rules_grammar import add_replays, add_rules
    from gateway.cli.shadow_grammar import add_shadow
    from gateway.cli.state_grammar import add_delivery, add_state
    from gateway.cli.values_grammar import add_by_hand, add_command, add_values

    common, parser, add = _beginning()
    _add_run(add)
    _add_service(add)
    add_configuration(add)
    add_values(add)
    add_by_hand(add)
    add_shadow(add("shadow", "shadow", "show or change what is wanted of devices"), common)
    add_command(add)
    add_field(add)
    add_device(add)
    add_profiles(add("profiles", "profiles", "list profiles, show one or what results of it, run their cases"))
    add_browse(add("browse", "browse", "show what a channel or a server has, as a tree; make tags of it"))
    add_discovered(add("discovered", "discovered", "show what was seen and is not configured, approve it"), common)
    add_lists(add)
    add_simulate(add)
    add_state(add)
    add_alarms(add("alarms", "alarms", "show alarms, or do something about one"), common)
    add_rules(add("rules", "rules", "look at rules, and test them"), common)
    add_replays(add)
    add_driver(add("driver", "driver", "list drivers, begin a new one, test one, show its quality"), common)
    add_delivery(add)
    add_backup(add)
    add_ota(add("ota", "ota", "install releases on this machine, and see how that went"), common)
    add_bundle(add("bundle", "bundle", "make, sign and check releases"), common)
    add_fleet(add("fleet", "fleet", "look at gateways and change their devices through a broker"), common)
    return parser


def _running() -> argparse.ArgumentParser:
    """The grammar of `fieldpost run` alone."""
    _, parser, add = _beginning()
    _add_run(add)
    return parser


def _beginning() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, Add]:
    """The options of every command, a grammar that has them, and how a command is added to it."""
    common = _common()
    parser = _Parser(
        prog="fieldpost",
        description="Reads field devices, keeps every reading, delivers it over MQTT and proves it.",
        epilog=_EPILOG,
        parents=[common],
    )
    parser.add_argument("--version", action="store_true", default=argparse.SUPPRESS, help="the same as `version`")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, where: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[common], epilog=_EPILOG)
        command.set_defaults(run=_late(where, _function(name)))
        return command

    return common, parser, add


def _function(name: str) -> str:
    """The function of a command: its name, with a line below it where Python has the word already."""
    return f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")


def _late(where: str, name: str) -> Callable[[Session], int]:
    """The command's function, imported when it runs: `fieldpost status` must not load drivers."""

    def run(session: Session) -> int:
        module = importlib.import_module(f"gateway.cli.commands.{where}")
        return int(getattr(module, name)(session))

    return run


def _common() -> _Parser:
    """Options of every command, before or after its name."""
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("options of every command")
    group.add_argument(
        "--config",
        metavar="DIR",
        help="configuration folder (default: the first of $FIELDPOST_CONFIG, /etc/fieldpost, ./config)",
    )
    group.add_argument("--state", metavar="DIR", help="state directory (default: store.path of gateway.yaml)")
    group.add_argument("--socket", metavar="PATH", help="socket of the running gateway, named directly")
    group.add_argument("--json", action="store_true", help="print one JSON object on one line")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return common


def _add_run(add: Add) -> None:
    add("run", "service", "run the gateway in the foreground")


def _add_service(add: Add) -> None:
    demo = add("demo", "demo", "run a simulated plant, a broker and a gateway, and show live values")
    demo.add_argument(
        "--for", dest="lasting", type=duration, metavar="TIME", help="end after this time, for example 20s"
    )
    demo.add_argument(
        "--port-base",
        default="auto",
        metavar="PORT",
        help="first of five TCP ports for plant and broker (default: auto, free ones)",
    )
    demo.add_argument("--plain", action="store_true", help="print lines, not a live screen")
    add("version", "service", "print the version of this program and of the running gateway")
