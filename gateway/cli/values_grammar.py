"""The grammar of the commands for values: of tags, from devices, to devices, by hand, and by any op."""

from __future__ import annotations

from gateway.cli.argtypes import Add, duration, duration_between, positive

_A_WEEK = duration_between("1ms", "7d")  # gateway/holds.py


def add_values(add: Add) -> None:
    """`tags`, `read` and `write`."""
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


def add_by_hand(add: Add) -> None:
    """`force` and `maintenance`."""
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


def add_command(add: Add) -> None:
    """`command`."""
    command = add("command", "command", "do any op of the protocol by id, once, and show its result")
    command.add_argument("op", metavar="OP", help="for example write, read, diagnostics")
    command.add_argument(
        "words", nargs="*", metavar="[DEVICE] [KEY=VALUE ...]", help="device (of `call`: and NAME), arguments"
    )
    command.add_argument("--rid", metavar="ID", help="its id: the same one again is not done again (a new one)")
    command.add_argument("--ttl", type=duration, metavar="TIME", help="not begun in this time, it is not done")
    command.add_argument("--args", metavar="JSON", help="arguments as an object")
