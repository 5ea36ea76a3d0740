"""Wheels that install and run: a gateway of a few lines whose self-test says what the test wants."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence

SELFTEST = "print('{\"unusable\": []}')\n"


def wheel(
    name: str,
    version: str,
    files: Mapping[str, str],
    scripts: Mapping[str, str] | None = None,
    *,
    drivers: Mapping[str, str] | None = None,
    needs: Sequence[str] = (),
) -> bytes:
    """A pure wheel with these files, complete with RECORD. `drivers`: name -> place of its spec."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    requirements = "".join(f"Requires-Dist: {need}\n" for need in needs)
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    groups = {"console_scripts": scripts, "fieldpost.drivers": drivers}
    points = "".join(f"[{group}]\n{_lines(rows)}" for group, rows in groups.items() if rows)
    if points:
        content[f"{info}/entry_points.txt"] = points
    rows = [f"{path},sha256={_hash(text)},{len(text.encode())}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return out.getvalue()


def runtime(version: str, selftest: str = SELFTEST, **more: str) -> bytes:
    """A gateway. `more`: further modules of it by name."""
    modules = {f"gateway/{name}.py": text for name, text in more.items()}
    files = {"gateway/__init__.py": "", "gateway/ota/__init__.py": "", "gateway/ota/selftest.py": selftest, **modules}
    files["gateway/version.py"] = f"VERSION = {version!r}\n"
    return wheel("fieldpost", version, files, {"fieldpost": "gateway.version:main"})


def driver(name: str, version: str, source: str = "", needs: Sequence[str] = (), **more: str) -> bytes:
    """A wheel of a driver `name`, of the distribution NAME-driver. `source`: of its module."""
    files = {f"{name}_driver/__init__.py": source, **{f"{name}_driver/{file}": text for file, text in more.items()}}
    return wheel(f"{name}-driver", version, files, drivers={name: f"{name}_driver:SPEC"}, needs=needs)


def _lines(rows: Mapping[str, str]) -> str:
    return "".join(f"{name} = {target}\n" for name, target in rows.items())


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
