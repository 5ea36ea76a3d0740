"""The gateway as a user has it: this tree as a wheel, with compiled bytecode, in an environment of its own.

What the tests use instead, an editable install, starts slower: through an import hook, and without bytecode where
PYTHONDONTWRITEBYTECODE is set. The environment is kept in build/ (`make clean`) until a source file changes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from tests.support.processes import ROOT

_PACKAGES = ("gateway", "drivers", "rules")
_FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
_INSTALL_S = 600


def installed() -> Path:
    """The command `fieldpost` of a wheel install of this tree. Raises CalledProcessError when it cannot be made."""
    environment = ROOT / "build" / "bench" / _digest()
    command = environment / "bin" / "fieldpost"
    if not command.exists():
        shutil.rmtree(environment.parent, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=_INSTALL_S)
        with tempfile.TemporaryDirectory() as folder:
            _install(environment / "bin" / "python", Path(folder))
    return command


def _install(python: Path, folder: Path) -> None:
    """From a copy, since a build leaves files; with the versions that this process has, as the heading names them."""
    tree, constraints = folder / "tree", folder / "constraints.txt"
    tree.mkdir()
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(ROOT / name, tree)
    have = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in have.items() if name != "fieldpost"))
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--compile"]
    subprocess.run([*pip, "-c", constraints, f"{tree}[modbus,uvloop]"], check=True, timeout=_INSTALL_S)


def _digest() -> str:
    """Names the content of everything that goes into the wheel."""
    names = [path for name in _PACKAGES for path in sorted((ROOT / name).rglob("*")) if "__pycache__" not in path.parts]
    seen = hashlib.sha256(sys.version.encode())
    for path in (*names, *(ROOT / name for name in _FILES)):
        if path.is_file():
            seen.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return seen.hexdigest()[:12]
