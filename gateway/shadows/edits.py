"""Local edits and the ends of writes: the changes of a shadow that come from the gateway's own side. Pure."""

from __future__ import annotations

from msgspec import structs

from gateway.shadows import paths
from gateway.shadows.merge import Rules, with_lost, writable
from gateway.shadows.values import Edit, Phase, Policy, Progress, Rejection, Shadow, ShadowError

MAX_EDITS = 500


def set_edit(shadow: Shadow, path: str, value: object, who: str, rules: Rules) -> Shadow:
    """A value set at the gateway. Raises ShadowError (check, or a path that collides with a live leaf)."""
    writable(shadow)
    for other in (*shadow.live(), *shadow.edits):
        if paths.collides(path, other):
            raise ShadowError(f"{path!r} collides with {other!r}", code=400, path=path)
    if path not in shadow.edits and len(shadow.edits) >= MAX_EDITS:
        raise ShadowError(f"more than {MAX_EDITS} local edits of {shadow.device}", code=413, path=path)
    rules.check(path, value)
    leaf = shadow.desired.get(path)
    meta = structs.replace(shadow.meta, edits=shadow.meta.edits + 1)
    base = leaf.ver if leaf is not None else 0
    edit = Edit(value, base, meta.edits, rules.now, who, Progress(Phase.PENDING, base, ts=rules.now))
    progress = dict(shadow.progress)
    known = progress.get(path)
    if known is not None and not known.phase.is_end:
        progress[path] = structs.replace(known, phase=Phase.SUPERSEDED, code=409, text=f"set at {who}", ts=rules.now)
    return structs.replace(shadow, meta=meta, edits={**shadow.edits, path: edit}, progress=progress)


def drop_edit(shadow: Shadow, path: str) -> Shadow:
    """Take a local edit back; the device keeps what it has, and the difference shows in the delta. Raises 404."""
    writable(shadow)
    if path not in shadow.edits:
        raise ShadowError(f"{shadow.device} has no local edit of {path!r}", code=404, path=path)
    return structs.replace(shadow, edits={name: edit for name, edit in shadow.edits.items() if name != path})


def go_on(shadow: Shadow, path: str, ver: int, n: int, progress: Progress) -> Shadow | None:
    """Note how far the write of version `ver` (or edit `n`, 0 for a desired leaf) has come.

    None when that version is no longer the one to be written: its end does not count. An edit that the device does
    not take is gone, and that is told.
    """
    if n:
        return _edit_on(shadow, path, n, progress)
    known = shadow.progress.get(path)
    leaf = shadow.desired.get(path)
    if known is None or leaf is None or leaf.value is None or known.ver != ver or known.phase.is_end:
        return None
    return structs.replace(shadow, progress={**shadow.progress, path: progress})


def _edit_on(shadow: Shadow, path: str, n: int, progress: Progress) -> Shadow | None:
    edit = shadow.edits.get(path)
    if edit is None or edit.n != n or edit.progress.phase.is_end:
        return None
    if progress.phase.is_told or progress.phase is Phase.SUPERSEDED:
        rest = {name: other for name, other in shadow.edits.items() if name != path}
        text = f"the edit made at {edit.who} is not in effect: {progress.text}"
        lost = Rejection(path, edit.base_ver, Phase.REJECTED, progress.code or 409, text, n)
        return structs.replace(shadow, edits=rest, lost=with_lost(shadow.lost, lost))
    changed = {**shadow.edits, path: structs.replace(edit, progress=progress)}
    return structs.replace(shadow, edits=changed)


def exchanged(shadow: Shadow, rules: Rules) -> Shadow:
    """The uplink has exchanged everything: edits that hold only while it is away end."""
    ending = sorted(path for path in shadow.edits if rules.policy(path) is Policy.LOCAL_UNTIL_ONLINE)
    if not ending or shadow.read_only:
        return shadow
    lost = shadow.lost
    for path in ending:
        edit = shadow.edits[path]
        ver = max(edit.base_ver, shadow.desired[path].ver if path in shadow.desired else 0)
        text = f"the edit made at {edit.who} ended with the outage ({Policy.LOCAL_UNTIL_ONLINE})"
        lost = with_lost(lost, Rejection(path, ver, Phase.REJECTED, 409, text, edit.n))
    rest = {path: edit for path, edit in shadow.edits.items() if path not in ending}
    return structs.replace(shadow, edits=rest, lost=lost)


def told(shadow: Shadow, rejection: Rejection) -> Shadow:
    """It was published and acknowledged."""
    if rejection.n:
        return structs.replace(shadow, lost={n: one for n, one in shadow.lost.items() if n != rejection.n})
    known = shadow.progress.get(rejection.path)
    if (
        known is None
        or known.told
        or (known.ver, known.phase, known.code)
        != (
            rejection.ver,
            rejection.phase,
            rejection.code,
        )
    ):
        return shadow
    made = structs.replace(known, told=True)
    return structs.replace(shadow, progress={**shadow.progress, rejection.path: made})


def untold(shadow: Shadow) -> list[Rejection]:
    """Ends, leaves that wait for their device, and lost edits that nobody was told of yet."""
    ends = [
        Rejection(path, known.ver, known.phase, known.code, known.text)
        for path, known in sorted(shadow.progress.items())
        if not known.told and (known.phase.is_told or (known.phase is Phase.PENDING and known.code == 504))
    ]
    return ends + [shadow.lost[n] for n in sorted(shadow.lost)]
