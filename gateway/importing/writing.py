"""A draft as files of a configuration folder: text that people would write, the same for the same draft."""

from __future__ import annotations

from typing import Any

from gateway.importing.draft import Draft
from gateway.settings.yaml_writer import flow

HEAD = "# Imported by Fieldpost from "
_LINE = 120


def files_of(draft: Draft) -> dict[str, str]:
    """Relative file name -> text: one file for each profile and each channel."""
    found = {}
    for name, data in draft.profiles.items():
        found[f"profiles/{name}.yaml"] = _file(draft, ("profiles", name), {name: data})
    for name, data in draft.channels.items():
        found[f"channels/{name}.yaml"] = _file(draft, ("channels", name), data)
    return found


def _file(draft: Draft, root: tuple[str, ...], data: Any) -> str:
    origin = draft.place_of(root).file.rpartition("/")[2]
    lines = [HEAD + "".join(sign if sign.isprintable() else "?" for sign in origin)]
    for key, value in data.items():
        lines += _block(key, value, 0)
    return "\n".join(lines) + "\n"


def _block(key: str, value: Any, indent: int) -> list[str]:
    """An entry in lines: in one where that is short, else what is below indented."""
    space = " " * indent
    line = f"{space}{flow(key)}: {flow(value)}"
    deep = isinstance(value, dict) and any(isinstance(each, dict) and each for each in value.values())
    if not isinstance(value, dict) or not value or (indent and not deep and len(line) <= _LINE):
        return [line]
    below = [line for name, each in value.items() for line in _block(name, each, indent + 2)]
    return [f"{space}{flow(key)}:", *below]
