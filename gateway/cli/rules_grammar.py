"""The grammar of `fieldpost rules`, and of the commands that run rules over what was recorded."""

from __future__ import annotations

import argparse

from gateway.cli.alarms_grammar import add_looks
from gateway.cli.argtypes import Add, duration, duration_between, positive

_A_DAY = duration_between("1s", "1d")


def add_rules(rules: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Everything below `rules`; `common` are the options of every command."""
    actions = rules.add_subparsers(title="actions", metavar="ACTION", dest="what", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common], epilog=rules.epilog)

    add_looks(add)
    test = add("test", "run test files of rules; needs no running gateway")
    test.add_argument("file", nargs="+", metavar="FILE", help="a test file, or a folder of them")
    test.add_argument("--only", metavar="TEXT", help="only tests whose name has this in it")


def add_replays(add: Add) -> None:
    """Rules over what was recorded."""
    replay = add("replay", "replay", "show what rules would have done with the readings that the journal holds")
    replay.add_argument("--since", type=duration, default=86400.0, metavar="TIME", help="from so long ago (24h)")
    replay.add_argument("--until", type=duration, metavar="TIME", help="until so long ago (now)")
    replay.add_argument(
        "--warm-up", type=duration, metavar="TIME", help="before it, to fill windows (1h and the longest window)"
    )
    replay.add_argument("--rules", metavar="DIR", help="rules of this configuration folder (the running configuration)")
    replay.add_argument("--out", metavar="FILE", help="write everything that would have come, as JSON lines")
    replay.add_argument("--limit", type=positive, default=50, metavar="N", help="show at most so many effects (50)")
    record = add("record", "record", "record what the rules get and do, as a file for `fieldpost playback`")
    record.add_argument("file", metavar="FILE", help="where; it must not be there yet")
    record.add_argument("--for", dest="lasting", type=_A_DAY, default=600.0, metavar="TIME", help="end after it (10m)")
    playback = add("playback", "record", "run rules over a recording; exit 1 unless they do what they did")
    playback.add_argument("file", metavar="FILE", help="a file of `fieldpost record`")
    playback.add_argument("--rules", metavar="DIR", help="rules of this configuration folder (those of the recording)")
    playback.add_argument("--out", metavar="FILE", help="write everything that came, as JSON lines")
