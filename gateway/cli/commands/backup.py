"""backup and restore: a box in one file, and a new box of it."""

from __future__ import annotations

from pathlib import Path

from gateway.cli import forms, places
from gateway.cli.session import CommandFailed, Exit, Session


def backup(session: Session) -> int:
    """Write the backup; a gateway may run meanwhile."""
    from gateway.backup.archive import write
    from gateway.backup.boxes import gather

    password = _password(session)
    if password is None and not session.option("open"):
        text = "a backup holds the gateway's secrets: give --password-file, or say --open to write it unencrypted"
        raise CommandFailed(text, Exit.USAGE)
    config, state = session.config_dir, _state(session)
    if not (config / "gateway.yaml").is_file():
        raise CommandFailed(f"{config} holds no gateway.yaml")
    manifest, files = gather(config, state)
    to = Path(session.args.file)
    size = write(to, manifest, files, password)
    kinds = f"{sum(name.startswith('config/') for name in files)} files of the configuration, "
    kinds += "shadows, alarms and tables" if "tables" in files else "no store yet"
    if session.out.as_json:
        session.out.result({"ok": True, "file": str(to), "bytes": size, **manifest})
    else:
        session.out.line(f"{to}: {forms.size(size)}, {kinds}")
    return Exit.OK


def restore(session: Session) -> int:
    """Make a new box of a backup. Touches nothing that is there."""
    from gateway.backup.archive import read
    from gateway.backup.boxes import scatter

    path = Path(session.args.file)
    if not path.is_file():
        raise CommandFailed(f"there is no file {path}", Exit.USAGE)
    manifest, files = read(path, _password(session))
    given = session.option("config")
    config = Path(given).absolute() if given else Path("/etc/fieldpost")
    said = _state_of(files, config)
    state = Path(session.args.state).absolute() if session.option("state") else said
    moved = state != said
    if moved:  # a generation says where its state is, too
        files = {name: content for name, content in files.items() if not name.startswith("state/generations/")}
    scatter(files, config, state)
    lines = [f"configuration in {config}, state in {state}, of {forms.clock(manifest.get('made'))}"]
    lines += [f"check it with `fieldpost check {config}`, then start the gateway: its streams go on in a new epoch"]
    if moved:
        lines.insert(
            1, f"write `store: {{path: {state}}}` into gateway.yaml, which says {said}; generations are left out"
        )
    if session.out.as_json:
        session.out.result({"ok": True, "config": str(config), "state": str(state), **manifest})
    else:
        for line in lines:
            session.out.line(line)
    return Exit.OK


def _state(session: Session) -> Path:
    return places.state_dir(session.option("state"), session.option("config"))


def _state_of(files: dict[str, bytes], config: Path) -> Path:
    """Where gateway.yaml of the backup says that the state is."""
    import tempfile

    from gateway.settings.whereabouts import store_path

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "gateway.yaml").write_bytes(files.get("config/gateway.yaml", b""))
        found = store_path(Path(name))
        if found is None:
            return places.DEFAULT_STATE
        inside = Path(name).absolute()
        return config / found.relative_to(inside) if found.is_relative_to(inside) else found


def _password(session: Session) -> bytes | None:
    file = session.option("password_file")
    if not file:
        return None
    password = Path(file).read_bytes().rstrip(b"\r\n")
    if not password:
        raise CommandFailed(f"{file} is empty", Exit.USAGE)
    return password
