"""What a configuration that comes from afar may not be or do, beyond what any configuration may not.

Whoever sends it cannot come by: it must not shut the door behind itself, and it must not read this machine's files or
environment beyond what the configuration that runs reads already (docs/decisions/0038-configuration-from-afar.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from gateway.errors import ConfigError, Problem
from gateway.settings.positions import Key, Origin, Problems
from gateway.settings.provisioned import FILE as PROVISIONED
from gateway.settings.tree import CASES, FOLDERS, FOREIGN, MAX_FILES, ROOT
from gateway.settings.types import GatewaySettings, UplinkSettings
from gateway.settings.yaml_reader import read_documents

OP = "config"
MAX_BYTES = 8 << 20
"""Of all files together."""
_MAX_PATH = 200
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]*\Z")
_ENVIRONMENT = re.compile(r"\$\{env:([A-Za-z0-9_.-]+)\}")
_FILE_KEYS = frozenset({"ca", "cert", "key", "certificate", "folder", "root"})
"""Keys of uplinks and drivers whose value is the name of a local file or folder."""

Files = Mapping[str, bytes]


def tree_of(tree: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a tree as JSON carries it, path -> text. Raises ConfigError for what no configuration folder could
    hold.
    """
    found = [problem for name, text in tree.items() if (problem := _wrong(name, text)) is not None]
    if len(tree) > MAX_FILES:
        found = [Problem("", 0, 0, "", f"{len(tree)} files: at most {MAX_FILES}")]
    files = {} if found else {name: text.encode() for name, text in tree.items()}
    if sum(map(len, files.values())) > MAX_BYTES:
        found = [Problem("", 0, 0, "", f"the files have more than {MAX_BYTES} bytes together")]
    if not found and ROOT not in files:
        hint = "send the whole tree: what is not in it is gone"
        found = [Problem(ROOT, 0, 0, "", "there is no gateway.yaml", hint)]
    if found:
        raise ConfigError(found)
    return files


def _wrong(name: str, text: Any) -> Problem | None:
    shown = name[:_MAX_PATH]
    if not isinstance(text, str):
        return Problem(shown, 0, 0, "", "a file is a text")
    if text.encode(errors="replace") != text.encode(errors="surrogatepass"):
        return Problem(shown, 0, 0, "", "the text is not UTF-8")
    parts = name.split("/")
    if len(name) > _MAX_PATH or not all(_NAME.match(part) for part in parts):
        return Problem(shown, 0, 0, "", "this is no path of a configuration file", "write channels/line1.yaml")
    suffixes = (".yaml", ".yml", ".json") if parts[0] in FOREIGN else (".yaml", ".yml")
    is_below = len(parts) == 2 and parts[0] in FOLDERS and not (parts[0] == "profiles" and name.endswith(CASES))
    if name == PROVISIONED:
        return Problem(name, 0, 0, "", "this file is the gateway's own", "leave it out: approved devices stay")
    if name != ROOT and not (is_below and PurePosixPath(name).suffix in suffixes):
        hint = f"a tree has gateway.yaml, and YAML files in {', '.join(f'{folder}/' for folder in FOLDERS)}"
        return Problem(name, 0, 0, "", "this file is no part of a configuration", hint)
    return None


def refuse_reaching(files: Files, running: Files) -> None:
    """Raises ConfigError where `files` name files or words of the environment that `running` does not name. To be asked
    before anything is resolved: what is told of a wrong value would tell what it is.
    """
    wanted = [(origin, text, reached) for origin, text in _texts(files) if (reached := _reached(origin, text))]
    if not wanted:
        return
    known = {one for origin, text in _texts(running) for one in _reached(origin, text)}
    problems = Problems()
    for origin, _, reached in wanted:
        for kind, name in sorted(reached - known):
            if kind == "env":
                hint = "write the value, or use it in the configuration at the gateway first"
                problems.at(origin, f"a configuration from afar cannot read `{name}` of the environment", hint)
            else:
                hint = "name it relative to the configuration folder, or put it into the configuration there first"
                problems.at(origin, f"a configuration from afar cannot name the file `{name}`", hint)
    problems.raise_if_any()


def _reached(origin: Origin, text: str) -> set[tuple[str, str]]:
    """What of this machine a value would read: ("env", name) and ("file", name)."""
    reached = {("env", word) for word in _ENVIRONMENT.findall(text)}
    if origin.path[-1] in _FILE_KEYS and _leaves(text):
        reached.add(("file", text))
    return reached


def _leaves(value: str) -> bool:
    """Whether the name may lead out of the configuration folder. A credential is looked up by its name alone."""
    if value.startswith("${credential:"):
        return False
    return value.startswith(("/", "~")) or ".." in value.split("/") or "${" in value or "\\" in value


def _texts(files: Files) -> Iterator[tuple[Origin, str]]:
    """All values that are texts. What cannot be read is told by who loads the files."""
    for name, raw in files.items():
        for document in read_documents(name, raw, Problems()):
            yield from _texts_below(Origin(document), document.data)


def _texts_below(origin: Origin, value: Any) -> Iterator[tuple[Origin, str]]:
    items: Iterable[tuple[Key, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        if isinstance(item, str):
            yield origin.child(key), item
        elif isinstance(item, dict | list):
            yield from _texts_below(origin.child(key), item)


def refuse_lockout(old: GatewaySettings, new: GatewaySettings, files: Files) -> None:
    """Raises ConfigError where `new` changes what only somebody at the gateway may change, or would leave no way for
    orders to come.
    """
    problems = Problems()
    pairs = [
        (("gateway", "id"), old.id, new.id),
        (("gateway", "tenant"), old.tenant, new.tenant),
        (("store", "path"), old.store.path, new.store.path),
        (("remote_config",), old.remote_config, new.remote_config),
        (("ota",), old.ota, new.ota),
    ]
    documents = read_documents(ROOT, files[ROOT], Problems())
    for path, before, after in pairs:
        if before != after:
            message = f"`{'.'.join(path)}` is changed at the gateway alone"
            problems.add(_place(documents, path, message, "leave it as it is there"))
    if any(_brings(uplink) for uplink in old.uplinks) and not any(_brings(uplink) for uplink in new.uplinks):
        message = f"no uplink brings jobs of op {OP}: no other configuration could be sent to the gateway"
        problems.add(_place(documents, ("uplinks",), message, "keep one"))
    problems.raise_if_any()


def _brings(uplink: UplinkSettings) -> bool:
    return uplink.numbered and OP in uplink.jobs


def _place(documents: list[Any], path: tuple[str, ...], message: str, hint: str) -> Problem:
    """At the key, or at the file where it is not written."""
    data = documents[0].data if documents else None
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return Problem(ROOT, 0, 0, ".".join(path), message, hint)
        data = data[key]
    return Origin(documents[0], path).problem(message, hint)
