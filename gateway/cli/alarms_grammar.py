"""The grammar of `fieldpost alarms`, and of what `fieldpost rules` shows of running rules."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from gateway.cli.argtypes import duration_between, positive

_A_WEEK = duration_between("1ms", "7d")  # rules/alarms/refusal.py

AddAction = Callable[[str, str], argparse.ArgumentParser]


def add_alarms(alarms: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `alarms`; without an action the alarms are listed."""
    _add_list(alarms)
    actions = alarms.add_subparsers(title="actions", metavar="ACTION", dest="what", required=False)
    alarms.set_defaults(what="ls")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common], epilog=alarms.epilog)

    def comment(action: argparse.ArgumentParser) -> None:
        action.add_argument("--comment", metavar="TEXT", default="", help="kept with the alarm and in the audit log")

    _add_list(add("ls", "list the alarms that are not normal (the default)"))
    ack = add("ack", "acknowledge an alarm: somebody has seen it")
    ack.add_argument("name", nargs="?", metavar="NAME", help="an id, or id@entity where several have it")
    ack.add_argument("--all", dest="everything", action="store_true", help="all that wait for it")
    comment(ack)
    shelve = add("shelve", "put an alarm away for a while; it comes back by itself")
    shelve.add_argument("name", metavar="NAME")
    shelve.add_argument("--for", dest="lasting", type=_A_WEEK, required=True, metavar="TIME", help="7d at most")
    comment(shelve)
    for name, text in (
        ("unshelve", "take a shelved alarm back before its time"),
        ("reset", "release the latch of an alarm that is over and acknowledged"),
    ):
        action = add(name, text)
        action.add_argument("name", metavar="NAME")
        comment(action)
    service = add("out-of-service", "put an alarm away until somebody takes it back with --off")
    service.add_argument("name", metavar="NAME")
    turn = service.add_mutually_exclusive_group()
    turn.add_argument("--on", dest="on", action="store_true", default=True, help="out of service (the default)")
    turn.add_argument("--off", dest="on", action="store_false", help="in service again")
    comment(service)


def _add_list(action: argparse.ArgumentParser) -> None:
    """Options of the list; they may stand on either side of `ls`."""
    for option, text in (
        ("--all", "every alarm, those that are normal too"),
        ("--watch", "go on with every transition until interrupted"),
        ("--stats", "figures: alarms in 10 minutes, floods, the most frequent, stale and chattering ones"),
    ):
        action.add_argument(option, action="store_true", default=argparse.SUPPRESS, help=text)


def add_looks(add: AddAction) -> None:
    """Actions of `rules` that look at a running gateway."""
    add("ls", "list rules with their phase, and the tags without an address")
    show = add("show", "show a rule or alarm: expression, phase, what it looks at now, last runs")
    show.add_argument("name", metavar="NAME", help="id of a rule, or an alarm")
    why = add("why", "show why an alarm came or a rule ran: condition, readings before it, what was done")
    why.add_argument("name", metavar="NAME", help="an alarm, or the id of a rule")
    why.add_argument("--last", type=positive, default=1, metavar="N", help="of so many times, the newest last (1)")
