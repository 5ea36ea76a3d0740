"""Wheels that install and run: a gateway of a few lines whose self-test says what the test wants."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping

SELFTEST = "print('{\"unusable\": []}')\n"


def wheel(name: str, version: str, files: Mapping[str, str], scripts: Mapping[str, str] | None = None) -> bytes:
    """A pure wheel with these files, complete with RECORD."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if scripts:
        lines = "".join(f"{script} = {target}\n" for script, target in scripts.items())
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}"
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


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
