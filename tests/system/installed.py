"""A container with the gateway installed as `install.sh` leaves it: a slot, slotctl, the units, users and folders."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import parts
from tests.support.processes import ROOT, Processes
from tests.system.container import Container

CACHE = Path(os.environ.get("FIELDPOST_TEST_CACHE", ROOT / ".cache"))
SLOT = "0.1.0-000000000000"
LIBRARY = f"/opt/fieldpost/releases/{SLOT}/venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
_SYSTEMD = ROOT / "systemd"
_LAUNCHER = f"""#!/opt/fieldpost/releases/{SLOT}/venv/bin/python3
import sys
from gateway.cli.main import main
sys.exit(main())
"""


def rootfs() -> Path:
    """A Debian root file system, made once and kept in the cache folder."""
    parts.require("root", "systemd-nspawn", "nsenter", "mmdebstrap")
    root = CACHE / "rootfs"
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(ROOT / "tests/system/systemd/make_rootfs.sh"), str(root)], check=True, timeout=600)
    return root


@functools.cache
def make_slot() -> Path:
    """Our package and its dependencies as a virtual environment of the container's Python; made once, for all
    containers of this process.
    """
    folder = Path(tempfile.mkdtemp(prefix="fieldpost-slot-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = folder / "venv/lib" / version / "site-packages"
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    subprocess.run([*argv, "--target", str(library), f"{ROOT}[modbus,uvloop,ota]"], check=True, timeout=600)
    programs = folder / "venv/bin"
    programs.mkdir()
    (programs / "python3").symlink_to(f"/usr/bin/{version}")
    (folder / "venv/pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (programs / "fieldpost").write_text(_LAUNCHER)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.name == "fieldpost" else 0o644)
    return folder


def boot(processes: Processes) -> Container:
    """Boot it and install."""
    slot = make_slot()
    units = [path for path in _SYSTEMD.iterdir() if path.suffix in {".service", ".path", ".timer"}]
    binds = [
        f"{slot}:/slot",
        f"{_SYSTEMD}:/usr/lib/fieldpost",
        *(f"{path}:/etc/systemd/system/{path.name}" for path in units),
        f"{_SYSTEMD / 'sysusers.conf'}:/usr/lib/sysusers.d/fieldpost.conf",
        f"{_SYSTEMD / 'tmpfiles.conf'}:/usr/lib/tmpfiles.d/fieldpost.conf",
    ]
    made = Container(processes, rootfs(), binds)
    made.run("/bin/sh", "-c", f"cp -a /slot /opt/fieldpost/releases/{SLOT} && chown -R 0:0 /opt/fieldpost")
    for command in ("seal", "adopt"):
        made.run("/usr/lib/fieldpost/slotctl", command, SLOT)
    return made
