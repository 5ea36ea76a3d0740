"""Profiles that come with the installed drivers: YAML files in a folder `library` of the driver's package."""

from __future__ import annotations

from importlib import metadata, resources
from typing import Any

from gateway.registry import GROUP
from gateway.settings.positions import Problems
from gateway.settings.tree import CASES
from gateway.settings.yaml_reader import read_documents


def defines(text: bytes, profile: str) -> bool:
    """Whether a profile file has a profile of that name."""
    return f"\n{profile}:".encode() in b"\n" + text


def profiles_of(driver: str, name: str) -> dict[str, Any]:
    """The profiles of the library's file `name` and what they extend, as written; empty when there is none."""
    texts = profile_texts(driver)
    found: dict[str, Any] = {}
    todo, seen = [name], set[str]()
    while todo:
        file = todo.pop()
        if file in seen or file not in texts:
            continue
        seen.add(file)
        for one in read_documents(f"library/{file}.yaml", texts[file], Problems()):
            found |= one.data if isinstance(one.data, dict) else {}
        todo += [str(body["extends"]) for body in found.values() if isinstance(body, dict) and "extends" in body]
    return found


def profile_texts(driver: str) -> dict[str, str]:
    """Name of each profile of a driver's library to its file's text."""
    return _texts(driver, ".yaml")


def case_texts(driver: str) -> dict[str, str]:
    """Name of each profile of a driver's library to the text of its cases, where it has some."""
    return _texts(driver, CASES)


def _texts(driver: str, suffix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for point in metadata.entry_points(group=GROUP, name=driver):
        try:
            folder = resources.files(point.module) / "library"
        except (ImportError, TypeError):  # a driver in one file, or one that cannot be imported, has no library
            continue
        if not folder.is_dir():
            continue
        for file in folder.iterdir():
            if file.name.endswith(suffix) and file.name.count(".") == suffix.count("."):
                found[file.name.removesuffix(suffix)] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))
