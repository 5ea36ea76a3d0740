"""bundle vendor, bundle driver: drivers of others in our repository. Their vendors sign them, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from gateway.cli.commands.bundle import days_of, password_of, repository_of, repository_to_sign, say, signers_of
from gateway.cli.session import CommandFailed, Exit, Session

if TYPE_CHECKING:
    from gateway.ota.package import Package
    from gateway.ota.release import Wheel


def run(session: Session) -> int:
    """One action."""
    if session.args.action == "driver":
        return _driver(session)
    return {"add": _add, "rm": _remove, "key": _key, "ls": _list}[session.args.step](session)


def _add(session: Session) -> int:
    from gateway.ota.publisher.keys import read_public

    vendor, keys = session.args.name, [read_public(Path(each)) for each in session.args.key]
    repository_to_sign(session).delegate(vendor, keys, signers_of(session))
    told = _counted([_short(key.keyid) for key in keys])
    lines = [f"{vendor} publishes what is below drivers/{vendor}/ and nothing else, with {told}"]
    return say(session, {"vendor": vendor, "keys": len(keys)}, lines)


def _remove(session: Session) -> int:
    vendor = session.args.name
    repository_to_sign(session).dismiss(vendor, signers_of(session))
    lines = [f"nothing of {vendor} is installed from now on; gateways keep what they have"]
    return say(session, {"vendor": vendor}, lines)


def _key(session: Session) -> int:
    """As the vendor: the private key stays, the public one is handed on."""
    from gateway.ota.package import role_of
    from gateway.ota.publisher.keys import make_key, public_path, write_public

    folder, role = Path(session.args.keys[0]), role_of(session.args.name)
    key = make_key(folder, role, password_of(session))
    public = public_path(folder, role)
    write_public(key, public)
    short, there = _short(key.public_key.keyid), sorted(path.name for path in folder.glob(f"{role}-*.pem"))
    lines = [f"the key {short} is in {folder}: keep it"]
    lines += [f"{public} goes to who publishes: fieldpost bundle vendor add"]
    if len(there) > 1:
        text = f"{session.args.name} has {len(there)} keys here ({', '.join(there)}), and all of them sign"
        lines.append(
            f"{text}; those count that the publisher's `vendor add` names with --key: it replaces those before"
        )
    return say(session, {"vendor": session.args.name, "public": str(public), "key": short, "keys": there}, lines)


def _list(session: Session) -> int:
    """What a publisher needs to know of vendors."""
    from gateway.ota.package import role_of

    repository = repository_of(session)
    published = repository.vendors
    roles = repository.targets.delegations.roles if published else {}
    rows = [
        {
            "vendor": vendor,
            "keys": [_short(keyid) for keyid in roles[role_of(vendor)].keyids],
            "packages": sorted(name for name in (signed.targets if signed else ()) if name.endswith(".json")),
        }
        for vendor, signed in published.items()
    ]
    lines = [f"{row['vendor']}: {', '.join(row['packages']) or 'nothing yet'}; {_counted(row['keys'])}" for row in rows]
    return say(session, {"vendors": rows}, lines or ["there are no vendors here"])


def _counted(keys: Sequence[str]) -> str:
    return f"{'key' if len(keys) == 1 else 'keys'} {', '.join(keys)}"


def _short(keyid: str) -> str:
    """Enough of a key's id to tell it from others."""
    return keyid[:8]


def _driver(session: Session) -> int:
    from gateway.driver import CONTRACT
    from gateway.ota.package import role_of
    from gateway.ota.publisher.clock import check_vendor
    from gateway.ota.publisher.vendor import Described, is_signed, pack_driver, sign
    from gateway.ota.wheelcheck import check_wheels

    args, out = session.args, Path(session.args.output)
    if not args.accept_clock:
        check_vendor(out, args.vendor)
    keys = signers_of(session).get(role_of(args.vendor), ())
    if not keys:
        raise CommandFailed(f"there is no key of {args.vendor} in {', '.join(args.keys)}: fieldpost bundle vendor key")
    described = Described(
        requires_api=args.requires_api or CONTRACT,
        platform=args.platform,
        python=args.python,
        glibc_min=args.glibc,
        min_from=args.min_from,
        notes_url=args.notes,
    )
    wheels = [Path(each) for each in args.wheels]
    packed = [pack_driver(wheels, args.vendor, described)] if wheels else []
    for _, files in packed:
        check_wheels(files)
    if not packed and not (out / f"{role_of(args.vendor)}.json").is_file():
        raise CommandFailed("no wheel is named", Exit.USAGE)
    names = [package.target for package, _ in packed]
    if packed and is_signed(out, packed[0][0]):
        lines = [f"{names[0]} is signed already, and is the same: nothing to do"]
        return say(session, {"packages": [], "folder": args.output}, lines)
    version = sign(out, args.vendor, packed, keys)
    lines = [f"{name} is signed" for name in names] or [f"all of {args.vendor} is signed anew"]
    lines.append(
        f"{args.output} (set {version}) goes to who publishes: fieldpost bundle sign {args.output} --repo REPO"
    )
    return say(session, {"packages": names, "set": version, "folder": args.output}, lines)


def sign(session: Session, folder: Path) -> int:
    """Publish what a vendor signed, and write each new package as a bundle."""
    from gateway.ota.bundle import SUFFIX, pack

    repository = repository_to_sign(session)
    packages = repository.publish(folder, signers_of(session), days_of(session))
    out = session.option("output")
    if out and len(packages) != 1:
        raise CommandFailed(f"{len(packages)} packages are published now: --output names one bundle", Exit.USAGE)
    written = []
    for package in packages:
        path = Path(out or repository.folder.parent / f"{package.name}-{package.version}{SUFFIX}")
        pack(repository.folder, repository.bundle_names(package), path)
        written.append((package.target, path))
    lines = [f"{target} is published in {repository.folder}; {path}" for target, path in written]
    rows = [{"target": target, "bundle": str(path), "bytes": path.stat().st_size} for target, path in written]
    return say(session, {"packages": rows}, lines or ["nothing is new, all of it is signed until later"])


def shown(session: Session, package: Package, trust_line: str) -> int:
    """What `bundle verify` says of a driver."""
    from gateway.driver import CONTRACT
    from gateway.ota.release import ReleaseRefused, check_compatible, this_machine

    try:
        check_compatible(package.compatible, this_machine())
        fits = "it runs on a machine like this one"
    except ReleaseRefused as error:
        fits = f"not for this machine: {error}"
    if package.requires_api != CONTRACT:
        fits = f"it was written for driver contract {package.requires_api}, this release has {CONTRACT}"
    lines = [f"driver {package.title} {package.version}: signed by its vendor, whole"]
    lines += [f"{len(package.wheels)} wheels, made {package.created}", fits, trust_line]
    wheels = [asdict(wheel) for wheel in package.wheels]
    answer = {"vendor": package.vendor, "name": package.name, "version": package.version, "fits": fits}
    return say(session, {**answer, "requires_api": package.requires_api, "wheels": wheels}, lines)


def drivers_of(files: Sequence[str]) -> tuple[Wheel, ...]:
    """The wheels of driver packages that a release brings along."""
    from gateway.ota.package import parse_package

    found: list[Wheel] = []
    for file in files:
        if not Path(file).is_file():
            raise CommandFailed(f"there is no file {file}", Exit.USAGE)
        found += [wheel for wheel in parse_package(Path(file).read_bytes()).wheels if wheel not in found]
    return tuple(found)
