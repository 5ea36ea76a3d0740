"""Where profiles are found: in the libraries of the drivers, in a configuration folder, in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.cli.session import CommandFailed, Exit
from gateway.errors import Problem
from gateway.library import case_texts, profile_texts
from gateway.registry import Registry
from gateway.settings.foreign import is_foreign
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Document, Problems
from gateway.settings.tree import CASES, ROOT, read_tree
from gateway.settings.yaml_reader import MAX_BYTES, read_documents

LIBRARY = "library"
CONFIGURATION = "configuration"
_OF_A_WIRE = frozenset(
    ("driver", "channel", "enabled", "devices", "watch", "url", "serial", "adapter", "tls", "username", "password")
)


class Source(Struct, frozen=True):
    """A profile as it is written.

    `origin`: library, configuration, or the file that was named. `driver`: whose it is, empty where nobody says.
    `files`: the profile files that it is loaded with. `cases`: texts of its case files by the name to show. `channel`:
    keys of a channel whose devices have it (defaults, groups). `variables`: of the site.
    """

    name: str
    origin: str
    driver: str
    file: str
    files: Mapping[str, bytes]
    cases: Mapping[str, bytes] = {}
    channel: Mapping[str, Any] = {}
    variables: Mapping[str, Any] = {}

    @property
    def text(self) -> str:
        """The file that the profile stands in."""
        return self.files[self.file].decode("utf-8", "replace")

    @property
    def body(self) -> dict[str, Any]:
        """The profile's own keys as written; empty for what cannot be read."""
        return bodies({self.file: self.files[self.file]}).get(self.name, {})

    @property
    def chain(self) -> list[dict[str, Any]]:
        """Its own keys and those of what it extends, as far as that is there."""
        known, found, seen = bodies(self.files), [], set()
        name: Any = self.name
        while isinstance(name, str) and name in known and name not in seen:
            seen.add(name)
            found.append(known[name])
            name = known[name].get("extends")
        return found


def read_quietly(file: str, raw: bytes) -> list[Document]:
    """The documents of a file as far as they can be read; what is wrong with it is told by those who load it."""
    return [one for one in read_documents(file, raw, Problems()) if one.data is not None]


def library(drivers: Iterable[str]) -> list[Source]:
    """All profiles that come with these drivers."""
    found: list[Source] = []
    for driver in drivers:
        texts = profile_texts(driver)
        cases = case_texts(driver)
        files = {f"profiles/{name}.yaml": text.encode() for name, text in texts.items()}
        homes = _homes(files)
        for name in texts:
            own = {f"{name}{CASES}": cases[name].encode()} if name in cases else {}
            file = f"profiles/{name}.yaml"
            found.append(Source(name, LIBRARY, driver, file, _with_bases(file, files, homes), own))
    return found


def installed() -> tuple[str, ...]:
    """Names of the drivers that are there."""
    return Registry().names()


def configured(folder: Path) -> list[Source]:
    """All profiles of a configuration folder. Raises ConfigError when a file cannot be read."""
    tree = {name: bytes(text) for name, text in read_tree(folder).items()}
    files = {name: text for name, text in tree.items() if name.startswith("profiles/")}
    users = _with_extended(_users(tree), bodies(files))
    cases = _case_files(folder / "profiles", "profiles/")
    variables, homes = _variables(tree), _homes(files)
    found = [
        Source(
            name, CONFIGURATION, driver, file, _with_bases(file, files, homes), cases.get(name, {}), channel, variables
        )
        for file, text in files.items()
        for name in names_in(file, text)
        for driver, channel in [_shared(users.get(name, {}))]
    ]
    return _with_library_cases(found)


def _with_library_cases(sources: list[Source]) -> list[Source]:
    """A copy of a library profile that nobody changed has the library's cases, unless it has its own."""
    known = {
        (each.driver, each.name): each
        for each in library(dict.fromkeys(each.driver for each in sources if each.driver and not each.cases))
    }
    return [_cases_of(known.get((each.driver, each.name)), each) for each in sources]


def _cases_of(original: Source | None, copy: Source) -> Source:
    if original is None or copy.cases or original.chain != copy.chain:
        return copy
    return replace(copy, cases={f"library/{name}": text for name, text in original.cases.items()})


def _shared(channel: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The driver of a channel, and its keys that matter for a profile: not where it leads, nor who is there."""
    return str(channel.get("driver", "")), {key: value for key, value in channel.items() if key not in _OF_A_WIRE}


def in_file(path: Path) -> list[Source]:
    """The profiles of a file, or those that a file of cases is for. Raises CommandFailed, ConfigError."""
    if not path.is_file():
        raise CommandFailed(f"there is no file {path}", Exit.USAGE)
    if path.name.endswith(CASES):
        return _of_cases(path)
    near = {f"profiles/{each.name}": _read(each) for each in sorted(path.parent.glob("*.yaml")) if _is_plain(each)}
    file = f"profiles/{path.name}"
    files = {file: _read(path), **near}
    names = names_in(file, files[file])
    problems = Problems()
    read_documents(str(path), files[file], problems)
    problems.raise_if_any()
    if not names:
        raise CommandFailed(f"{path} holds no profile", Exit.BAD_CONFIG)
    cases = _case_files(path.parent, f"{path.parent}/" if path.parent != Path() else "")
    homes = _homes(files)
    return [Source(name, str(path), "", file, _with_bases(file, files, homes), cases.get(name, {})) for name in names]


def _of_cases(path: Path) -> list[Source]:
    """The profile that a file of cases is for: of a file beside it."""
    documents = read_quietly(path.name, _read(path))
    data = documents[0].data if documents else None
    named = data.get("profile") if isinstance(data, dict) else None
    name = named if isinstance(named, str) else path.name.removesuffix(CASES)
    for each in sorted(path.parent.glob("*.yaml")):
        if _is_plain(each) and name in names_in(each.name, each.read_bytes()):
            found = [source for source in in_file(each) if source.name == name]
            return [replace(source, cases={str(path): _read(path)}) for source in found]
    raise CommandFailed(f"{path}: no file beside it has the profile {name}", Exit.BAD_CONFIG)


def _read(path: Path) -> bytes:
    """A file, or as much of it as tells that it is too large."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.name.endswith(CASES)


def bodies(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """The profiles that files define, as written. Those of other gateways' files are drawn when a tree is loaded."""
    found: dict[str, dict[str, Any]] = {}
    for file, text in files.items():
        for document in read_quietly(file, text):
            if isinstance(document.data, dict) and not is_foreign(document.node.tree):
                found |= {name: body for name, body in document.data.items() if isinstance(body, dict)}
    return found


def names_in(file: str, text: bytes) -> list[str]:
    """The profiles that a file defines."""
    return list(bodies({file: text}))


def _homes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Which file defines each profile."""
    return {name: each for each, text in files.items() for name in names_in(each, text)}


def _with_bases(file: str, files: Mapping[str, bytes], homes: Mapping[str, str]) -> dict[str, bytes]:
    """The file, and those of what its profiles extend: not its neighbours, whose faults are not its own."""
    taken: dict[str, bytes] = {}
    todo = [file]
    while todo:
        each = todo.pop()
        if each in taken:
            continue
        taken[each] = files[each]
        bases = [body.get("extends") for body in bodies({each: files[each]}).values()]
        todo += [homes[base] for base in bases if isinstance(base, str) and base in homes]
    return taken


def _case_files(folder: Path, shown: str) -> dict[str, dict[str, bytes]]:
    """Texts of case files by the profile they are for: the one they name, else that of their own name."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob(f"*{CASES}")) if folder.is_dir() else ():
        raw = _read(path)
        documents = read_quietly(path.name, raw)
        data = documents[0].data if documents else None
        named = data.get("profile") if isinstance(data, dict) else None
        name = named if isinstance(named, str) else path.name.removesuffix(CASES)
        found.setdefault(name, {})[f"{shown}{path.name}"] = raw
    return found


def strays(folder: Path) -> list[Problem]:
    """Files of cases in a configuration folder whose profile is not there: a typing error, or a file that was left."""
    texts = {name: bytes(text) for name, text in read_tree(folder).items() if name.startswith("profiles/")}
    known = bodies(texts)
    return [
        Problem(file, 1, 1, "", f"there is no profile `{name}` that these cases are for", did_you_mean(name, known))
        for name, files in _case_files(folder / "profiles", "profiles/").items()
        if name not in known
        for file in files
    ]


def _users(tree: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """The channel, as it is written, of each profile that a device of the configuration has."""
    found: dict[str, dict[str, Any]] = {}
    for file, text in tree.items():
        if not file.startswith("channels/"):
            continue
        for document in read_quietly(file, text):
            data = document.data if isinstance(document.data, dict) else {}
            devices = data.get("devices")
            for device in devices.values() if isinstance(devices, dict) else ():
                profile = device.get("profile") if isinstance(device, dict) else None
                if isinstance(profile, str) and isinstance(data.get("driver"), str):
                    found.setdefault(profile, data)
    return found


def _with_extended(
    users: dict[str, dict[str, Any]], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The same for what those profiles extend: it is for the same driver."""
    found = dict(users)
    for profile, channel in users.items():
        base = known.get(profile, {}).get("extends")
        while isinstance(base, str) and base not in found:
            found[base] = channel
            base = known.get(base, {}).get("extends")
    return found


def _variables(tree: Mapping[str, bytes]) -> dict[str, Any]:
    for document in read_quietly(ROOT, tree.get(ROOT, b"")):
        found = document.data.get("vars") if isinstance(document.data, dict) else None
        if isinstance(found, dict):
            return found
    return {}


def as_tree(source: Source, channel: Mapping[str, Any]) -> dict[str, bytes]:
    """A configuration that has nothing but the profile and a channel."""
    gateway = {"gateway": {"id": "profiles"}, **({"vars": source.variables} if source.variables else {})}
    return {
        **source.files,
        ROOT: json.dumps(gateway).encode(),
        "channels/cases.yaml": json.dumps(channel).encode(),
    }
