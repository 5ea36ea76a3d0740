"""provisioned.yaml: devices that were accepted by discovery, by channel, with the profiles that they brought along.

It is a file of each generation beside those of the configuration folder, never of the folder itself. A device that the
folder has too, and one whose channel is gone, is left out when a tree is loaded: the folder is what a person wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from msgspec import Struct

from gateway.settings.positions import Document, Problems
from gateway.settings.yaml_reader import read_documents

FILE = "provisioned.yaml"
_HEAD = """\
# Devices that discovery brought in. This file is the gateway's own: `fieldpost discovered export` writes its devices
# into the configuration folder, where people change them.
"""

Files = Mapping[str, bytes]


class _WithoutAliases(yaml.SafeDumper):
    """What two devices share is written twice: an alias is not accepted when it is read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's form
        return True


class Provisioned(Struct, frozen=True):
    """`channels`: channel -> device -> its keys as written in YAML; `profiles`: name -> profile as written."""

    channels: dict[str, dict[str, dict[str, Any]]] = {}
    profiles: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self.channels)

    def with_device(
        self, channel: str, device: str, keys: Mapping[str, Any], profiles: Mapping[str, Any]
    ) -> Provisioned:
        """With one device more."""
        devices = {**self.channels.get(channel, {}), device: dict(keys)}
        return Provisioned({**self.channels, channel: devices}, {**self.profiles, **profiles})

    def only(self, kept: Mapping[str, set[str]]) -> Provisioned:
        """With those devices alone (channel -> ids), and without profiles that none of them has or extends."""
        channels = {}
        for channel, devices in self.channels.items():
            chosen = {name: keys for name, keys in devices.items() if name in kept.get(channel, ())}
            if chosen:
                channels[channel] = chosen
        todo = [keys.get("profile") for devices in channels.values() for keys in devices.values()]
        used: set[Any] = set()
        while todo:  # with what they extend
            name = todo.pop()
            if isinstance(name, str) and name not in used:
                used.add(name)
                body = self.profiles.get(name)
                todo.append(body.get("extends") if isinstance(body, dict) else None)
        return Provisioned(channels, {name: value for name, value in self.profiles.items() if name in used})

    def without(self, channel: str, device: str) -> Provisioned:
        """With one device less."""
        kept = {name: set(devices) for name, devices in self.channels.items()}
        kept.get(channel, set()).discard(device)
        return self.only(kept)

    def devices(self) -> dict[str, str]:
        """Device -> its channel."""
        return {device: channel for channel, devices in self.channels.items() for device in devices}


def document_of(raw: str | bytes, problems: Problems) -> Document | None:
    """The file as a document with its places; None when it holds nothing."""
    documents = [each for each in read_documents(FILE, raw, problems) if isinstance(each.data, dict)]
    return documents[0] if documents else None


def provisioned_of(files: Mapping[str, str | bytes]) -> Provisioned:
    """What the files of a generation hold of it."""
    raw = files.get(FILE)
    document = None if raw is None else document_of(raw, Problems())
    if document is None:
        return Provisioned()
    channels = document.data.get("channels") or {}
    return Provisioned({name: dict(devices) for name, devices in channels.items()}, document.data.get("profiles") or {})


def joined(files: Files, provisioned: Provisioned) -> dict[str, bytes]:
    """The folder's files and those devices, as a generation holds them."""
    whole = {name: text for name, text in files.items() if name != FILE}
    if provisioned:
        whole[FILE] = as_yaml(provisioned)
    return whole


def as_yaml(provisioned: Provisioned) -> bytes:
    """The file's bytes: equal for equal devices."""
    data: dict[str, Any] = {"channels": provisioned.channels}
    if provisioned.profiles:
        data["profiles"] = provisioned.profiles
    text = yaml.dump(data, Dumper=_WithoutAliases, sort_keys=False, allow_unicode=True, width=120)
    return (_HEAD + text).encode()
