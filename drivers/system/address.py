"""Addresses: a group, a part where there are several, an item. `cpu/usage`, `net/eth0/rx_bytes`, `disk:/var/free`."""

from __future__ import annotations

import difflib

from msgspec import Struct

PERCENT, BYTES = "%", "B"


class Item(Struct, frozen=True):
    """One figure: its natural type as in YAML, its unit, and what it is."""

    type: str
    unit: str
    text: str


_PACKETS = {
    f"{way}_{what}": Item("uint64", unit, f"{what} {'received' if way == 'rx' else 'sent'} since the start")
    for way in ("rx", "tx")
    for what, unit in (("bytes", BYTES), ("packets", ""), ("errors", ""), ("dropped", ""))
}

ITEMS: dict[str, dict[str, Item]] = {
    "cpu": {
        "usage": Item(
            "float32", PERCENT, "of the time since the poll before that was work; part: one processor, from 0"
        ),
        "count": Item("uint16", "", "processors"),
        "frequency": Item("float32", "MHz", "of the first processor, or of that of the part"),
    },
    "load": {name: Item("float32", "", f"load average over {name}") for name in ("1m", "5m", "15m")},
    "memory": {
        "total": Item("uint64", BYTES, "installed"),
        "available": Item("uint64", BYTES, "what programs can still get"),
        "used_percent": Item("float32", PERCENT, "what they cannot get any more"),
    },
    "swap": {
        "total": Item("uint64", BYTES, "swap space"),
        "used": Item("uint64", BYTES, "of it in use"),
    },
    "disk": {
        "total": Item("uint64", BYTES, "size of the file system"),
        "free": Item("uint64", BYTES, "what the gateway can still write"),
        "used_percent": Item("float32", PERCENT, "what it cannot write any more"),
        "inodes_used_percent": Item("float32", PERCENT, "of the room for files"),
    },
    "temperature": {
        "": Item("float32", "°C", "of a sensor; `cpu` is that of the processor, whatever its sensor is called")
    },
    "clock": {
        "synced": Item("bool", "", "the wall clock is disciplined (`clock.trust`)"),
        "offset": Item("float64", "s", "by which the kernel still corrects it"),
        "max_error": Item("float64", "s", "by which the kernel thinks that it may be wrong"),
    },
    "system": {
        "uptime": Item("float64", "s", "since the machine was started"),
        "hostname": Item("string", "", "name of the machine"),
        "kernel": Item("string", "", "release of the kernel"),
        "os": Item("string", "", "name of the distribution"),
        "model": Item("string", "", "of the board, where it says so"),
    },
    "net": {
        **_PACKETS,
        "up": Item("bool", "", "the link is up"),
        "speed": Item("float32", "Mbit/s", "of the link"),
        "mac": Item("string", "", "hardware address"),
        "ipv4": Item("string", "", "first address"),
        "ipv6": Item("string", "", "first global address"),
    },
    "process": {
        "cpu": Item("float32", PERCENT, "of one processor since the poll before, by the gateway"),
        "rss": Item("uint64", BYTES, "resident memory of the gateway"),
        "rss_anon": Item("uint64", BYTES, "of it its own, not of files"),
        "fds": Item("uint32", "", "open files and sockets"),
        "threads": Item("uint32", "", "threads"),
        "uptime": Item("float64", "s", "since the gateway was started"),
        "loop_lag": Item("float32", "ms", "by which a wake-up of the event loop was late"),
    },
}
_WITH_PARTS = frozenset(("cpu", "temperature", "net", "disk"))
_NEED_PARTS = frozenset(("temperature", "net"))


class AddressError(ValueError):
    """An address that is none; `hint` is the corrected form."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class Address(Struct, frozen=True):
    """`part`: a processor, a sensor, an interface, a mount point; empty where the group is one thing."""

    group: str
    part: str
    item: str

    @property
    def meaning(self) -> Item:
        return ITEMS[self.group][self.item]

    def __str__(self) -> str:
        if self.group == "disk" and self.part != "/":
            return f"disk:{self.part}/{self.item}"
        part = "" if self.group == "disk" else self.part
        return "/".join(word for word in (self.group, part, self.item) if word)


def parse(text: str) -> Address:
    """The address that a text is. Raises AddressError."""
    group, part, item = _split(text)
    items = ITEMS.get(group)
    if items is None:
        raise AddressError(f"there is no group `{group}`", _near(group, ITEMS) or f"known: {', '.join(ITEMS)}")
    if item not in items:
        raise AddressError(f"`{group}` has no `{item}`", _near(item, items) or f"known: {', '.join(items)}")
    if part and group not in _WITH_PARTS:
        raise AddressError(f"`{group}` has no parts", f"write {group}/{item}")
    if not part and group in _NEED_PARTS:
        example = {"net": f"net/eth0/{item}", "temperature": "temperature/cpu"}[group]
        raise AddressError(
            f"`{group}` is asked of one {'interface' if group == 'net' else 'sensor'}", f"write {example}"
        )
    if group == "cpu" and part and (not part.isdecimal() or item == "count"):
        raise AddressError(f"`{part}` is no processor", "write cpu/0/usage")
    return Address(group, part, item)


def _split(text: str) -> tuple[str, str, str]:
    if text.startswith("disk:"):
        mount, _, item = text.removeprefix("disk:").rpartition("/")
        if mount and not mount.startswith("/"):
            raise AddressError(f"`{mount}` is no mount point", "write disk:/var/free, or disk/free for the root")
        return "disk", mount or "/", item
    group, _, rest = text.partition("/")
    if group == "temperature":
        return group, rest, ""
    part, _, item = rest.rpartition("/")
    if group == "disk":
        if part:
            raise AddressError(f"`{text}` has the mount point at the wrong place", f"write disk:/{part}/{item}")
        part = "/"
    return group, part, item


def _near(word: str, known: object) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)  # type: ignore[call-overload]
    return f"did you mean `{found[0]}`?" if found else ""
