"""The command line's grammar. Every option here stands in docs/reference/cli.md; a test compares the two."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import keyword
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gateway.cli.argtypes import duration, duration_between, port, positive, units
from gateway.cli.session import Session

_EPILOG = """exit status: 0 ok, 1 failed, 2 wrong usage, 69 no gateway is running, 78 bad configuration"""
_HELP = {"-h", "--help"}
_A_WEEK = duration_between("1ms", "7d")  # gateway/holds.py
_A_DAY = duration_between("1ms", "1d")
_A_LISTEN = duration_between("1s", "300s")
_SCAN_TIMEOUT = duration_between("10ms", "10s")
_JOURNAL_STREAMS = ("alarm", "event", "log", "telemetry")


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
    from gateway.cli.discovery_grammar import add_browse, add_discovered
    from gateway.cli.driver_grammar import add_driver
    from gateway.cli.fleet_grammar import add_fleet
    from gateway.cli.ota_grammar import add_ota
    from gateway.cli.profiles_grammar import add_profiles
    from gateway.cli.rules_grammar import add_replays, add_rules
    from gateway.cli.shadow_grammar import add_shadow

    common, parser, add = _beginning()
    _add_run(add)
    _add_service(add)
    _add_configuration(add)
    _add_values(add)
    _add_by_hand(add)
    add_shadow(add("shadow", "shadow", "show or change what is wanted of devices"), common)
    _add_command(add)
    _add_field(add)
    _add_device(add)
    add_profiles(add("profiles", "profiles", "list profiles, show one or what results of it, run their cases"))
    add_browse(add("browse", "browse", "show what a channel or a server has, as a tree; make tags of it"))
    add_discovered(add("discovered", "discovered", "show what was seen and is not configured, approve it"), common)
    _add_lists(add)
    _add_simulate(add)
    _add_state(add)
    add_alarms(add("alarms", "alarms", "show alarms, or do something about one"), common)
    add_rules(add("rules", "rules", "look at rules, and test them"), common)
    add_replays(add)
    add_driver(add("driver", "driver", "list drivers, begin a new one, test one, show its quality"), common)
    _add_delivery(add)
    _add_backup(add)
    add_ota(add("ota", "ota", "install releases on this machine, and see how that went"), common)
    add_bundle(add("bundle", "bundle", "make, sign and check releases"), common)
    add_fleet(add("fleet", "fleet", "look at gateways and change their devices through a broker"), common)
    return parser


_Add = Callable[[str, str, str], argparse.ArgumentParser]


def _running() -> argparse.ArgumentParser:
    """The grammar of `fieldpost run` alone."""
    _, parser, add = _beginning()
    _add_run(add)
    return parser


def _beginning() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, _Add]:
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


def _add_run(add: _Add) -> None:
    add("run", "service", "run the gateway in the foreground")


def _add_service(add: _Add) -> None:
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


def _add_configuration(add: _Add) -> None:
    init = add("init", "init", "write a first configuration folder")
    init.add_argument("folder", nargs="?", help="where (default: --config, else ./config)")
    init.add_argument("--id", metavar="NAME", help="the gateway's id (default: this machine's name)")
    init.add_argument("--modbus", metavar="HOST[:PORT]", help="the first Modbus TCP device")
    check = add("check", "configuration", "check a configuration folder; needs no running gateway")
    check.add_argument("folder", nargs="?", help="the folder (default: --config and its default)")
    add("plan", "configuration", "show what applying the configuration folder would change")
    apply = add("apply", "configuration", "make the configuration folder the running configuration")
    apply.add_argument(
        "--confirm-within",
        type=duration,
        metavar="TIME",
        help="go back by itself unless `fieldpost confirm` comes in this time, for example 2m",
    )
    add("confirm", "configuration", "keep the configuration that waits for it")
    rollback = add("rollback", "configuration", "go back to the configuration before")
    rollback.add_argument("--to", type=int, metavar="GENERATION", help="go back to this one")
    add("generations", "configuration", "list the configurations that are kept")


def _add_values(add: _Add) -> None:
    tags = add("tags", "values", "show the latest values with quality and age")
    tags.add_argument("tag", nargs="*", metavar="DEVICE[.TAG]", help="only these (default: all)")
    tags.add_argument("--watch", action="store_true", help="go on with every change until interrupted")
    tags.add_argument("--hidden", action="store_true", help="hidden tags too")
    read = add("read", "values", "read tags from their devices now")
    read.add_argument("tag", nargs="+", metavar="DEVICE.TAG", help="or DEVICE.ADDRESS, an address without a tag")
    read.add_argument("--type", metavar="TYPE", help="read an address as this type, for example float32")
    read.add_argument("--word-order", metavar="LETTERS", help="with --type: order of bytes, for example CDAB")
    read.add_argument("--length", type=positive, metavar="BYTES", help="with --type string or bytes")
    read.add_argument("--scale", type=float, metavar="FACTOR", help="with --type: a factor")
    read.add_argument("--count", type=positive, metavar="N", help="without --type: so many registers, raw (2)")
    write = add("write", "values", "write tags and show what was read back")
    write.add_argument("assignment", nargs="+", metavar="DEVICE.TAG=VALUE")
    write.add_argument("--dry-run", action="store_true", help="check everything, write nothing")


def _add_by_hand(add: _Add) -> None:
    force = add(
        "force", "byhand", "give a tag a value by hand for a while, seen by everybody, never written to the device"
    )
    force.add_argument("assignment", nargs="?", metavar="DEVICE.TAG=VALUE", help="without it: list what is forced")
    force.add_argument(
        "--for", dest="lasting", type=_A_WEEK, metavar="TIME", help="it ends by itself after this time, 7d at most"
    )
    force.add_argument("--reason", metavar="TEXT", help="for the audit log")
    force.add_argument("--release", metavar="DEVICE.TAG", help="end it now; `all` ends all")
    maintenance = add("maintenance", "byhand", "keep remote writes away from a device for a while")
    maintenance.add_argument("device", nargs="?", metavar="DEVICE", help="without it: list")
    maintenance.add_argument(
        "--for", dest="lasting", type=_A_WEEK, metavar="TIME", help="it ends by itself after this time, 7d at most"
    )
    maintenance.add_argument("--reason", metavar="TEXT", help="for the audit log and for who is refused")
    maintenance.add_argument("--end", action="store_true", help="end it now")


def _add_command(add: _Add) -> None:
    command = add("command", "command", "do any op of the protocol by id, once, and show its result")
    command.add_argument("op", metavar="OP", help="for example write, read, diagnostics")
    command.add_argument(
        "words", nargs="*", metavar="[DEVICE] [KEY=VALUE ...]", help="device (of `call`: and NAME), arguments"
    )
    command.add_argument("--rid", metavar="ID", help="its id: the same one again is not done again (a new one)")
    command.add_argument("--ttl", type=duration, metavar="TIME", help="not begun in this time, it is not done")
    command.add_argument("--args", metavar="JSON", help="arguments as an object")


def _add_field(add: _Add) -> None:
    trace = add("trace", "field", "show the frames on a device's wire, in hexadecimal and in words")
    trace.add_argument("name", metavar="DEVICE", help="a device, or a channel for all of its frames")
    trace.add_argument(
        "--for", dest="lasting", type=_A_DAY, default=60.0, metavar="TIME", help="end after it, 1d at most (60s)"
    )
    scan = add("scan", "field", "look for devices: units on a wire, radios, topics of a broker, what a server offers")
    scan.add_argument("protocol", choices=("modbus", "ble", "mqtt", "opcua"), help="what is spoken there")
    scan.add_argument("target", nargs="?", metavar="CHANNEL|URL|HOST|PORT", help="a channel, host, url or port")
    scan.add_argument("--units", metavar="IDS", help="unit ids, for example 1-10,255 (1-247 on a serial line)")
    scan.add_argument("--ranges", action="append", metavar="RANGE", help="what to try, for example holding/0-999")
    scan.add_argument("--line", metavar="LINE", help="of a serial port, for example 9600-8E1")
    scan.add_argument("--draft", metavar="NAME", help="make a device NAME of what was found, with a draft of a profile")
    scan.add_argument("--write", action="store_true", help="with --draft: write it into the configuration")
    scan.add_argument("--for", dest="lasting", type=_A_LISTEN, metavar="TIME", help="ble, mqtt: listen so long (10s)")
    scan.add_argument("--topic", metavar="FILTER", help="mqtt: topics, with + and # (#)")
    scan.add_argument("--most", type=positive, metavar="N", help="mqtt: topics that are shown (1000)")
    scan.add_argument("--filter", metavar="TEXT", help="ble: what name or address contain")
    scan.add_argument("--rssi", type=int, metavar="DBM", help="ble: the least strength, for example -80")
    scan.add_argument("--timeout", type=_SCAN_TIMEOUT, metavar="TIME", help="of each request, 10ms to 10s (300ms)")


def _add_device(add: _Add) -> None:
    device = add("add", "add", "add a device to the configuration: shows the change, writes it with --write")
    device.add_argument("protocol", choices=("modbus", "ble", "mqtt", "opcua", "system"), help="what is spoken there")
    where = "a channel, host, url or serial port; ble: the device's address; system: nothing"
    device.add_argument("target", nargs="?", metavar="CHANNEL|URL|HOST|PORT|ADDRESS", help=where)
    device.add_argument("--unit", type=positive, metavar="ID", help="modbus: unit id (1)")
    device.add_argument("--name", metavar="NAME", help="id of the device (unit1, or made of its name, topic, address)")
    device.add_argument("--topic", metavar="TOPIC", help="mqtt: where its values come from")
    device.add_argument("--for", dest="lasting", type=_A_LISTEN, metavar="TIME", help="mqtt, ble: listen so long")
    device.add_argument("--profile", metavar="NAME", help="its profile: of the configuration, or of the library")
    device.add_argument("--channel", metavar="NAME", help="id of a new channel")
    device.add_argument("--line", metavar="LINE", help="of a serial port, for example 9600-8E1")
    device.add_argument("--interval", metavar="TIME", help="of a new channel (1s)")
    device.add_argument("--write", action="store_true", help="write the change")


def _add_lists(add: _Add) -> None:
    export = add("export", "taglist", "print the tags of the configuration as a list for spreadsheets (CSV)")
    export.add_argument("device", nargs="*", metavar="DEVICE", help="only these (default: all)")
    export.add_argument("--server", metavar="NAME", help="where a running server offers its tags: registers, node ids")
    export.add_argument("--output", "-o", metavar="FILE", help="write it there")
    import_ = add("import", "importing", "show what files of other gateways or a tag list become; --write writes it")
    import_.add_argument(
        "file", nargs="+", metavar="FILE", help="files, or folders of them; what they are is seen in them"
    )
    import_.add_argument("--dry-run", action="store_true", help="write nothing (the default)")
    import_.add_argument(
        "--write",
        nargs="?",
        const=True,
        metavar="DIR",
        help="write it, into this folder (default: the configuration's)",
    )
    import_.add_argument("--replace", action="store_true", help="write over files that hold something else")
    import_.add_argument(
        "--partial", action="store_true", help="what is right, without what is wrong; exit 1 then, too"
    )
    import_.add_argument("--strict", action="store_true", help="what is only noted else is an error")
    import_.add_argument("--prune", action="store_true", help="a list of our own: remove tags that it leaves out")
    import_.add_argument("--strict-edgex", action="store_true", help="transforms exactly as EdgeX computes them")
    import_.add_argument("--interval", metavar="TIME", help="of devices without a schedule, for example 10s")
    import_.add_argument("--node", metavar="NAME", help="KubeEdge: devices of this node only")
    import_.add_argument("--seed-shadow", action="store_true", help="KubeEdge: twins become wanted values")
    import_.add_argument("--channel", metavar="ID", help="lists without a connection: the channel to make")
    import_.add_argument("--device", metavar="ID", help="lists without a connection: the device to make")
    import_.add_argument("--url", metavar="URL", help="lists without a connection: where the device is")
    import_.add_argument("--unit", type=int, metavar="N", help="Kepware, SunSpec: unit id of the device (1)")
    import_.add_argument("--zero-based", action="store_true", help="Kepware, Neuron: addresses count from 0")
    orders = ("ABCD", "BADC", "CDAB", "DCBA")
    import_.add_argument("--word-order", choices=orders, help="of lists that do not say how registers lie")
    import_.add_argument("--repeat", type=positive, metavar="N", help="SunSpec: how often counted groups are there (1)")


def _add_simulate(add: _Add) -> None:
    simulate = add("simulate", "simulate", "serve a profile as a device, with faults that can be switched")
    simulate.add_argument("profile", metavar="PROFILE", help="of the configuration or the library, or a .yaml file")
    simulate.add_argument("--driver", default="modbus", metavar="NAME", help="whose simulator (modbus)")
    simulate.add_argument("--name", metavar="NAME", help="which profile of a file with several")
    simulate.add_argument("--unit", type=units, default=(1, 1), metavar="IDS", help="unit ids, for example 1 or 1-30")
    simulate.add_argument("--param", action="append", metavar="NAME=VALUE", help="a parameter of the profile")
    simulate.add_argument("--host", metavar="HOST", help="where to listen (127.0.0.1)")
    simulate.add_argument("--port", type=port, metavar="PORT", help="TCP port (a free one)")
    simulate.add_argument("--rtu", action="store_true", help="RTU frames over TCP")
    simulate.add_argument("--pty", nargs="?", const="", metavar="LINK", help="a serial line without hardware")
    simulate.add_argument("--line", metavar="LINE", help="take as long as on this serial line, for example 9600-8E1")
    simulate.add_argument("--response", type=duration, metavar="TIME", help="what the device needs for an answer")
    simulate.add_argument("--static", action="store_true", help="values do not move")
    simulate.add_argument("--set", action="append", metavar="TAG=VALUE", help="a value that stays")
    simulate.add_argument("--fault", action="append", metavar="WORDS", help='for example "slow 450ms every 3"')
    simulate.add_argument("--control", metavar="PATH", help="a socket that takes the same words as the keyboard")


def _add_state(add: _Add) -> None:
    status = add("status", "state", "show whether all is well, and what is not")
    status.add_argument("--ready", action="store_true", help="exit 1 unless the gateway is ready (for health checks)")
    devices = add("devices", "state", "show devices, their states and statistics")
    devices.add_argument("device", nargs="?", metavar="DEVICE", help="only this one, with its commands and methods")
    reads = add("reads", "state", "show the read plan: which requests bring which tags, and their time on the wire")
    reads.add_argument("device", nargs="?", metavar="DEVICE", help="only this one")
    reads.add_argument("--forget", action="store_true", help="drop what was learned, and ask everything again")
    journal = add("journal", "state", "show the journal's streams and gaps, and its latest entries")
    journal.add_argument("--stream", choices=_JOURNAL_STREAMS, help="list entries of this stream")
    journal.add_argument("--since", type=duration, metavar="TIME", help="not older than this, for example 1h")
    journal.add_argument("--limit", type=positive, metavar="N", help="at most so many entries (20)")
    journal.add_argument("--format", choices=("edgex",), help="readings as events of EdgeX, one JSON object a line")
    journal.add_argument("--quality", choices=("good", "all"), help="with --format: good readings only (good), or all")
    journal.add_argument("--output", "-o", metavar="FILE", help="with --format: write it there")
    add("jobs", "jobs", "show what the fleet's owner wants of this gateway, and what became of it")
    audit = add("audit", "audit", "show who changed what; --verify proves that no entry was changed or removed")
    audit.add_argument("--since", type=duration, metavar="TIME", help="not older than this, for example 1h")
    audit.add_argument("--who", metavar="NAME", help="only of this person or program")
    audit.add_argument("--device", metavar="ID", help="only of this device")
    audit.add_argument("--limit", type=positive, default=20, metavar="N", help="at most so many entries (20)")
    audit.add_argument("--verify", action="store_true", help="recompute the chain; exit 1 when it is broken")
    audit.add_argument("--file", metavar="FILE", help="with --verify: of JSON lines, not of the running gateway")


def _add_backup(add: _Add) -> None:
    backup = add("backup", "backup", "write identity, configuration, shadows and alarms into one file")
    restore = add("restore", "backup", "make a new box of a backup; --config and --state must be empty folders")
    for command in (backup, restore):
        command.add_argument("file", metavar="FILE", help="the backup")
        command.add_argument("--password-file", metavar="FILE", help="file that holds the password of the backup")
    backup.add_argument("--open", action="store_true", help="without encryption; whoever has it has the secrets")


def _add_delivery(add: _Add) -> None:
    uplink = add("uplink", "state", "show uplinks, or forget one that will not come back")
    uplink.add_argument("action", nargs="?", choices=("forget",), help="forget: drop its cursor and its backlog")
    uplink.add_argument("name", nargs="?", metavar="NAME", help="which one")
    proof = add("proof", "proof", "read from the broker and prove that nothing is missing")
    proof.add_argument("--url", help="broker (default: the first uplink of the configuration)")
    proof.add_argument("--tenant", metavar="ID", help="tenant (default: of the configuration)")
    proof.add_argument("--gateway", metavar="ID", help="gateway (default: of the configuration)")
    proof.add_argument(
        "--for", dest="lasting", type=duration, default=10.0, metavar="TIME", help="listen so long (10s)"
    )
    proof.add_argument(
        "--from-first", action="store_true", help="leave out of account what came before the first number"
    )
    proof.add_argument("--ca", metavar="FILE", help="certificate authority for mqtts and wss (default: of the uplink)")
    proof.add_argument("--username", metavar="NAME", help="user name at the broker")
    proof.add_argument("--password-file", metavar="FILE", help="file that holds the password")
