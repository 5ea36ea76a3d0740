"""Whether a tried release is as well as the one before was: pictures of a gateway, and what must not be worse.

Only what was up before must be up after: a device that was dead, or a site without its link, blocks no update.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.atomic import replace_file
from gateway.ota.files import regular
from gateway.ota.release import ReleaseRefused

OK = "ok"
MOST_LAG_MS = 250.0
_MOST = 4 << 20
_CGROUPS = Path("/sys/fs/cgroup")


class Picture(Struct, frozen=True):
    """A gateway at one moment. `up`: as `channel:ID`, `uplink:NAME`, `server:NAME`; `last`: highest number per stream
    of the journal's `epoch`; `done`: up to which number an uplink was acknowledged, as `NAME/STREAM`; `issues`: of the
    configuration and the store.
    """

    up: frozenset[str] = frozenset()
    epoch: int = 0
    last: Mapping[str, int] = {}
    done: Mapping[str, int] = {}
    issues: frozenset[str] = frozenset()


class Vital(Struct, frozen=True):
    """What is measured rather than compared. `store`: what is wrong with a probe of the store, else empty; `scripts`:
    what the site's own checks say.
    """

    lag_ms: float
    memory: int
    most_memory: int | None
    store: str = ""
    scripts: str = OK


def judge(before: Picture, now: Picture, known: frozenset[str], vital: Vital) -> dict[str, str]:
    """Each gate with `ok` or what is missing. `known`: what is configured; what is not is not waited for."""
    missing = sorted((before.up & known) - now.up)
    channels = [name.partition(":")[2] for name in missing if not name.startswith("uplink:")]
    uplinks = [name.partition(":")[2] for name in missing if name.startswith("uplink:")]
    worse = sorted(now.issues - before.issues) if before.epoch else []  # without a picture nothing is compared
    return {
        "config": f"new: {', '.join(worse)}" if worse else OK,
        "store": vital.store or OK,
        "channels": f"not up again: {', '.join(channels)}" if channels else OK,
        "uplinks": f"not up again: {', '.join(uplinks)}" if uplinks else OK,
        "journal": _journal(before, now, known),
        "loop": OK if vital.lag_ms < MOST_LAG_MS else f"wakes up {vital.lag_ms:.0f} ms late",
        "memory": _memory(vital),
        "scripts": vital.scripts,
    }


def told(gates: Mapping[str, str]) -> str:
    """What is not well, in one line; empty where all is."""
    return "; ".join(f"{name}: {verdict}" for name, verdict in failed(gates).items())


def sentence(text: str, bad: str) -> str:
    """Why a release was given up, with the gates that it did not pass."""
    return f"{text} ({bad})" if bad else text


def failed(gates: Mapping[str, str]) -> dict[str, str]:
    """What is not well."""
    return {name: verdict for name, verdict in gates.items() if verdict != OK}


def was_offline(before: Picture) -> bool:
    """No uplink was up before: the gateway cannot be asked to reach anybody now."""
    return not any(name.startswith("uplink:") for name in before.up)


def save(path: Path, before: Picture) -> None:
    """Keep the picture over the restart, and over a power cut in it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(before))


def restore(path: Path) -> Picture:
    """The picture that was kept; an empty one, which asks nothing, where there is none."""
    with contextlib.suppress(OSError, ReleaseRefused, ValueError, msgspec.DecodeError), regular(path) as file:
        return msgspec.json.decode(file.read(_MOST), type=Picture)
    return Picture()


def own_memory() -> int:
    """Bytes of this process that are its own: pages mapped from the store's file do not count."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def most_memory() -> int | None:
    """`MemoryHigh=` of the unit, None without one."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            if line.startswith("0::/"):
                return int((_CGROUPS / line[4:] / "memory.high").read_text(encoding="ascii"))
    return None


def _journal(before: Picture, now: Picture, known: frozenset[str]) -> str:
    """What is in the journal, and what of it was acknowledged, only grows: what waits is then no less than before but
    for what was acknowledged since.
    """
    if before.epoch and now.epoch != before.epoch:
        return f"the store began anew: epoch {now.epoch} after {before.epoch}"
    lost = [stream for stream, last in before.last.items() if now.last.get(stream, 0) < last]
    if lost:
        return f"lost its end: {', '.join(sorted(lost))}"
    back = [name for name, number in before.done.items() if _known(name, known) and now.done.get(name, 0) < number]
    return f"forgot what was acknowledged: {', '.join(sorted(back))}" if back else OK


def _known(name: str, known: frozenset[str]) -> bool:
    return f"uplink:{name.partition('/')[0]}" in known


def _memory(vital: Vital) -> str:
    if vital.most_memory is None or vital.memory < vital.most_memory:
        return OK
    return f"{vital.memory >> 20} MiB of {vital.most_memory >> 20} MiB"
