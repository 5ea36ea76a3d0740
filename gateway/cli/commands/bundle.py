"""bundle: releases for the publisher. Needs no gateway; reaches no network."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import GatewayError

_CLOCKS_DIFFER_S = 86400
"""The publisher's clock may be ahead of this one by so much."""
_LAB = (
    "one key signs for all: good for a laboratory; for a fleet use --root-keys 3 --root-threshold 2 and keep them apart"
)


def bundle(session: Session) -> int:
    """One action. Without the libraries of the extra `ota` it says what to install."""
    try:
        import tuf
    except ModuleNotFoundError:
        raise CommandFailed("releases need more libraries: pip install 'fieldpost[ota]'") from None
    del tuf
    action = session.args.action
    if action in {"vendor", "driver"}:
        from gateway.cli.commands import bundle_drivers

        return bundle_drivers.run(session)
    if action == "config":
        from gateway.cli.commands import bundle_configs

        return bundle_configs.run(session)
    return _ACTIONS[action](session)


def _init(session: Session) -> int:
    from gateway.ota.publisher.clock import check_first
    from gateway.ota.publisher.keys import make_key
    from gateway.ota.publisher.repository import ROLES, Repository

    args, keys = session.args, Path(session.args.keys[0])
    if not args.accept_clock:
        check_first()
    if any(keys.glob("*.pem")):
        raise CommandFailed(f"{keys} holds keys already")
    counts = {"root": args.root_keys, "targets": args.targets_keys}
    thresholds = {"root": args.root_threshold, "targets": args.targets_threshold}
    if any(thresholds[role] > counts[role] for role in counts):
        raise CommandFailed("a threshold is above the number of keys", Exit.USAGE)
    made = {role: [make_key(keys, role, password_of(session)) for _ in range(counts.get(role, 1))] for role in ROLES}
    public = {role: [key.public_key for key in signers] for role, signers in made.items()}
    folder = Path(args.repo)
    Repository.create(folder, public, thresholds, made)
    root = folder / "metadata" / "1.root.json"
    lines = [f"repository {folder}, keys in {keys}", f"gateways are given {root}: what they trust"]
    lines += [_LAB] if thresholds["root"] == 1 else []
    return say(session, {"repository": str(folder), "root": str(root), "keys": str(keys)}, lines)


def _build(session: Session) -> int:
    from gateway.cli.commands.bundle_drivers import drivers_of
    from gateway.ota.building import Wanted, build
    from gateway.ota.release import this_machine

    args, here = session.args, this_machine()
    wheels = Path(args.wheels)
    if not wheels.is_dir():
        raise CommandFailed(f"{wheels} is no folder", Exit.USAGE)
    out = Path(args.output)
    if out.exists():
        raise CommandFailed(f"{out} exists already")
    if args.soak >= args.confirm:
        raise CommandFailed("--soak has to be shorter than --confirm", Exit.USAGE)
    wanted = Wanted(
        platform=args.platform or here.platform,
        python=args.python or here.python,
        rollback_index=args.rollback_index,
        min_from=args.min_from,
        glibc_min=args.glibc,
        urgency="security" if args.security else "normal",
        notes_url=args.notes,
        health={"confirm_s": int(args.confirm), "soak_s": int(args.soak), "tries": args.tries},
        drivers=drivers_of(args.driver),
    )
    release = build(wheels, out, wanted)
    size = sum(wheel.size for wheel in release.files)
    text = f"{release.name} {release.version} for {wanted.platform} {wanted.python}: {len(release.files)} wheels, "
    lines = [f"{text}{size} bytes, in {out}", f"next: fieldpost bundle sign {out} --repo REPO --keys KEYS"]
    answer = {"release": str(out), "version": release.version, "wheels": len(release.files), "bytes": size}
    return say(session, answer, lines)


def _sign(session: Session) -> int:
    from gateway.ota.bundle import SUFFIX, pack

    folder = Path(session.args.release)
    if any(folder.glob("drivers-*.json")):
        from gateway.cli.commands.bundle_drivers import sign

        return sign(session, folder)
    if not (folder / "release.json").is_file():
        raise CommandFailed(f"{folder} is no release: `fieldpost bundle build` makes one", Exit.USAGE)
    repository = repository_to_sign(session)
    release = repository.add(folder, signers_of(session), days_of(session))
    out = Path(session.option("output") or repository.folder.parent / f"{release.name}-{release.version}{SUFFIX}")
    pack(repository.folder, repository.bundle_names(release), out)
    lines = [f"{release.target} is published in {repository.folder}", f"{out}: {out.stat().st_size} bytes"]
    return say(session, {"target": release.target, "bundle": str(out), "bytes": out.stat().st_size}, lines)


def _verify(session: Session) -> int:
    from gateway.ota.bundle import unpack
    from gateway.ota.quorum import quorum, told
    from gateway.ota.release import Release, ReleaseRefused, check_fit, slot_name, this_machine
    from gateway.ota.trust import Floors, Now, Trust, verify
    from gateway.ota.wheelcheck import check_wheels

    file, root = Path(session.args.file), Path(session.args.root)
    for path in (file, root):
        if not path.is_file():
            raise CommandFailed(f"there is no file {path}", Exit.USAGE)
    with tempfile.TemporaryDirectory(prefix="fieldpost-bundle-") as name:
        work = Path(name)
        (work / "staging").mkdir()
        unpack(file, work / "inbox")
        now = int(time.time())
        trust = Trust(root.read_bytes(), work / "cache", Floors(), Now(now, synced=True))
        verified = verify(work / "inbox", trust, work / "staging")
        check_wheels({wheel.file: verified.files[wheel.file] for wheel in verified.content.files})
    _refuse_early(now, verified.content.created)
    trust_line = f"trusted: {told(quorum(root.read_bytes()))}"
    if not isinstance(verified.content, Release):
        from gateway.cli.commands.bundle_drivers import shown

        return shown(session, verified.content, trust_line)
    release = verified.release
    try:
        check_fit(release, this_machine())
        fits = "it runs on a machine like this one"
    except ReleaseRefused as error:
        fits = f"not for this machine: {error}"
    floors = asdict(verified.floors)
    lines = [f"{release.name} {release.version}, slot {slot_name(release, verified.raw)}: signed, whole"]
    lines += [f"{len(release.files)} wheels, rollback index {release.rollback_index}, made {release.created}", fits]
    lines += [f"root {floors['root']}, targets {floors['targets']}, timestamp {floors['timestamp']}", trust_line]
    answer = {"name": release.name, "version": release.version, "slot": slot_name(release, verified.raw)}
    wheels = [asdict(wheel) for wheel in release.files]
    return say(session, {**answer, "wheels": wheels, "fits": fits, "versions": floors}, lines)


def _refuse_early(now: int, created: str) -> None:
    """By a clock that is before what it looks at was made, nothing ever expires."""
    try:
        made = dt.datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return  # the publisher did not say
    if now < made.timestamp() - _CLOCKS_DIFFER_S:
        day = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%d")
        told = f"the clock of this machine says {day}, and this was made {created}"
        raise CommandFailed(f"{told}: set it, else nothing tells what has expired")


def _rotate(session: Session) -> int:
    from gateway.ota.publisher.keys import make_key

    folder, repository, role = Path(session.args.keys[0]), repository_to_sign(session), session.args.role
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    old = signers_of(session)
    before = repository.root.roles[role]
    count = session.option("count") or len(before.keyids)
    threshold = session.option("threshold") or before.threshold
    if threshold > count:
        raise CommandFailed("the threshold is above the number of keys", Exit.USAGE)
    known = set(folder.iterdir())
    fresh = [make_key(folder, role, password_of(session)) for _ in range(count)]
    public = [key.public_key for key in fresh]
    try:
        repository.rotate(role, public, threshold, {**old, role: fresh}, old)
    except GatewayError:
        for path in set(folder.iterdir()) - known:
            path.unlink()  # keys that nobody was told of
        raise
    version = repository.root.version
    lines = [f"{role} has {count} new keys (root {version}); the old ones sign nothing more: put them away"]
    return say(session, {"role": role, "root_version": version}, lines)


def _refresh(session: Session) -> int:
    repository = repository_to_sign(session)
    repository.refresh(signers_of(session), days_of(session))
    return _show(session)


def _withdraw(session: Session) -> int:
    repository = repository_to_sign(session)
    version = session.args.target
    target = version if version.startswith("releases/") else f"releases/fieldpost-{version}.json"
    repository.withdraw(target, signers_of(session))
    return say(session, {"target": target}, [f"{target} is withdrawn"])


def _show(session: Session) -> int:
    repository = repository_of(session)
    roles = {
        "root": repository.root,
        "targets": repository.targets,
        "snapshot": repository.snapshot,
        "timestamp": repository.timestamp,
    }
    rows = [
        {
            "role": role,
            "version": signed.version,
            "expires": signed.expires.strftime("%Y-%m-%d"),
            "keys": len(roles["root"].roles[role].keyids),
            "threshold": roles["root"].roles[role].threshold,
        }
        for role, signed in roles.items()
    ]
    releases = sorted(name for name in roles["targets"].targets if name.startswith("releases/"))
    vendors = {
        vendor: sorted(name for name in (signed.targets if signed else ()) if name.endswith(".json"))
        for vendor, signed in repository.vendors.items()
    }
    if session.out.as_json:
        session.out.result({"roles": rows, "releases": releases, "vendors": vendors})
        return Exit.OK
    cells = [tuple(str(row[key]) for key in ("role", "version", "expires", "threshold", "keys")) for row in rows]
    session.out.table(("role", ">version", "expires", ">threshold", ">keys"), cells)
    for name in [*releases, *(one for vendor, names in vendors.items() for one in names or [f"drivers/{vendor}/ -"])]:
        session.out.line(name)
    return Exit.OK


def repository_of(session: Session) -> Any:
    """The repository that was named. Raises where there is none."""
    from gateway.ota.publisher.repository import Repository

    repository = Repository(Path(session.args.repo))
    _ = repository.root  # told at once where there is none
    return repository


def repository_to_sign(session: Session) -> Any:
    """The repository that was named, for who signs by a clock that can be right."""
    from gateway.ota.publisher.clock import check_repository

    repository = repository_of(session)
    if not session.args.accept_clock:
        check_repository(repository)
    return repository


def signers_of(session: Session) -> Any:
    """The keys in the folders that were named, by role."""
    from gateway.ota.publisher.keys import load_keys

    return load_keys([Path(each) for each in session.args.keys], password_of(session))


def password_of(session: Session) -> bytes | None:
    """What the keys are encrypted with, if they are."""
    file = session.option("password_file")
    return Path(file).read_bytes().rstrip(b"\r\n") if file else None


def days_of(session: Session) -> dict[str, int]:
    """Life times of what is signed now."""
    from gateway.ota.publisher.repository import DAYS

    days = session.option("days")
    return DAYS if days is None else {**DAYS, "timestamp": days}


def say(session: Session, answer: dict[str, Any], lines: list[str]) -> int:
    """The answer: for programs, or in lines."""
    if session.out.as_json:
        session.out.result({"ok": True, **answer})
    else:
        for line in lines:
            session.out.line(line)
    return Exit.OK


_ACTIONS = {
    "init": _init,
    "build": _build,
    "sign": _sign,
    "verify": _verify,
    "rotate": _rotate,
    "refresh": _refresh,
    "withdraw": _withdraw,
    "show": _show,
}
