"""Write `packaging/locks/`: for each kind of gateway the exact wheels that releases are made of, with their hashes.

    python packaging/lock.py [--python 3.13] [--machine aarch64]

Asks pip's resolver what `fieldpost` with all that a gateway may run needs there; nothing is installed. Without options
all files are written anew, so what changes in them is what changed upstream.
"""

from __future__ import annotations

import argparse
import configparser
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = Path(__file__).parent / "locks"
EXTRAS = ("modbus", "opcua", "http", "ble", "cbor", "snmp", "ota", "uvloop")
"""What a gateway may run. Not `ble-parsers`: one of the libraries below it is published as source only, and a release
holds wheels. The rest of the extras is for demonstrations and tests.
"""
MACHINES = ("aarch64", "x86_64")
PYTHONS = ("3.11", "3.13")
_GLIBC = (28, 17)
"""Minor versions of manylinux: what a release needs of the C library is the highest of them."""


def requirements() -> list[str]:
    """What setup.cfg asks for on a gateway."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    texts = [config["options"]["install_requires"], *(extras[name] for name in EXTRAS)]
    lines = (line.split("#", 1)[0].strip() for text in texts for line in text.splitlines())
    return sorted({line for line in lines if line})


def resolve(machine: str, python: str) -> list[dict[str, Any]]:
    """Pip's report of what would be installed."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC] + [f"manylinux2014_{machine}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
        argv += ["--ignore-installed", "--only-binary=:all:", "--target", folder, "--report", str(report)]
        argv += ["--implementation", "cp", "--python-version", python]
        argv += [word for tag in tags for word in ("--platform", tag)]
        subprocess.run([*argv, *requirements()], check=True, timeout=600)
        installs: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return installs


def lines(machine: str, python: str) -> Iterator[str]:
    """One line a wheel, sorted by name."""
    yield f"# fieldpost on linux_{machine}, CPython {python}; written by packaging/lock.py"
    found = {
        one["metadata"]["name"].lower().replace("_", "-").replace(".", "-"): (
            one["metadata"]["version"],
            one["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for one in resolve(machine, python)
    }
    for name, (version, digest) in sorted(found.items()):
        yield f"{name}=={version} --hash=sha256:{digest}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", action="append", choices=MACHINES)
    parser.add_argument("--python", action="append", choices=PYTHONS)
    args = parser.parse_args()
    LOCKS.mkdir(exist_ok=True)
    for machine in args.machine or MACHINES:
        for python in args.python or PYTHONS:
            file = LOCKS / f"linux_{machine}-cp{python.replace('.', '')}.txt"
            file.write_text("\n".join(lines(machine, python)) + "\n")
            print(f"{file.name}: {len(file.read_text().splitlines()) - 1} wheels")


if __name__ == "__main__":
    main()
