"""A configuration tree to GatewaySettings, or a ConfigError with everything that is wrong. No network, no writes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from gateway.errors import Problem
from gateway.rulebook import Expressions, RuleBook
from gateway.serving.contract import ServerSpec
from gateway.serving.registry import ServerRegistry
from gateway.settings.book import BookMaker
from gateway.settings.channel_file import Channels, Drivers
from gateway.settings.convert import show
from gateway.settings.credentials import CredentialSource, credentials_of
from gateway.settings.fingerprint import fingerprint
from gateway.settings.foreign import Foreign, Heard, foreign_documents, is_foreign, names_in, without_secrets
from gateway.settings.gateway_file import GatewayFile, read_gateway_file
from gateway.settings.ids import did_you_mean
from gateway.settings.keys import ImportKeys
from gateway.settings.nodes import nothing
from gateway.settings.positions import Document, Origin, Problems
from gateway.settings.profile_file import Profiles
from gateway.settings.provisioned import FILE as PROVISIONED
from gateway.settings.provisioned import document_of
from gateway.settings.references import References
from gateway.settings.server_file import ServerKinds
from gateway.settings.templates import TemplateError, expand_name
from gateway.settings.tree import FOLDERS, FOREIGN, ROOT, read_tree
from gateway.settings.types import GatewaySettings
from gateway.settings.yaml_reader import read_documents, uncollected

if TYPE_CHECKING:
    from gateway.importing.draft import Drawn

__all__ = ["Drivers", "load_files", "load_tree", "read_tree"]


def load_tree(
    folder: Path,
    drivers: Drivers | None = None,
    *,
    env: Mapping[str, str] | None = None,
    credentials: CredentialSource | None = None,
    state_dir: Path | None = None,
    keep_unusable: bool = False,
    expressions: Expressions | None = None,
    heard: Heard | None = None,
) -> GatewaySettings:
    """The settings in `folder`. Raises ConfigError with all problems. See `load_files`."""
    env = os.environ if env is None else env
    return load_files(
        read_tree(folder),
        _installed() if drivers is None else drivers,
        env=env,
        credentials=credentials_of(folder, env) if credentials is None else credentials,
        base=folder,
        state_dir=state_dir,
        keep_unusable=keep_unusable,
        expressions=expressions,
        heard=heard,
    )


@uncollected()
def load_files(
    files: Mapping[str, str | bytes],
    drivers: Drivers,
    *,
    env: Mapping[str, str],
    credentials: CredentialSource,
    base: Path | None = None,
    state_dir: Path | None = None,
    keep_unusable: bool = False,
    expressions: Expressions | None = None,
    servers: ServerKinds | None = None,
    heard: Heard | None = None,
    most_notes: int | None = None,
) -> GatewaySettings:
    """The settings in `files` (relative path -> text). Raises ConfigError with all problems.

    `base`: the folder that relative file names (certificates, store) start from. `state_dir` replaces `store.path` and
    is no part of the hash. `keep_unusable`: a channel whose driver cannot be loaded stays, with no settings and no
    devices, so that the supervisor can raise an issue for it and the other channels run; rules and alarms that name
    its devices are left out. `expressions` knows the language of rules: without it a tree with rules is refused.
    `servers` gives the specs of kinds of servers: those that are installed, unless said. `heard` is told what was
    ignored or changed in files of other gateways: all of it, or `most_notes`.
    """
    problems = Problems()
    tree = _Tree(files, env, credentials, base or Path(), problems, servers or _installed_servers)
    gateway = tree.gateway(keep_unusable=keep_unusable)
    tree.take_over(gateway, heard, 0 if heard is None else most_notes)
    profiles = tree.profiles()
    channels = Channels(drivers, profiles, problems, base=base or Path(), keep_unusable=keep_unusable)
    book = tree.fill(channels, profiles, gateway, expressions)
    problems.raise_if_any()
    assert gateway is not None  # its absence is a problem
    settings = GatewaySettings(
        id=gateway.id,
        tenant=gateway.tenant,
        timezone=gateway.timezone,
        clock_trust=gateway.clock_trust,
        store=gateway.store,
        uplinks=tuple(gateway.uplinks.settings),
        channels=tuple(channels.specs),
        hash="",
        shadow=gateway.shadow,
        book=book,
        watch=tuple(channels.watch),
        accepted=tuple(channels.accepted),
        servers=tuple(gateway.servers.settings),
        ota=gateway.ota,
        remote_config=gateway.remote_config,
        apply=gateway.apply,
    )
    name = fingerprint(settings, base=base or Path(), secrets=tree.secrets)
    store = settings.store if state_dir is None else replace(settings.store, path=state_dir)
    return replace(settings, hash=name, store=store)


def _installed() -> Drivers:
    from gateway.registry import Registry

    return Registry().load


def _installed_servers(kind: str) -> ServerSpec:
    return ServerRegistry().load(kind)


class _Tree:
    """The parsed files of a tree, references replaced, sorted by what they are."""

    def __init__(
        self,
        files: Mapping[str, str | bytes],
        env: Mapping[str, str],
        credentials: CredentialSource,
        base: Path,
        problems: Problems,
        kinds: ServerKinds,
    ) -> None:
        self._problems = problems
        self._kinds = kinds
        self._base = base
        self._env = env
        self._documents: dict[str, list[Document]] = {}
        self._broken: set[str] = set()
        self._foreign = Foreign()
        self._drawn: tuple[Drawn, list[Drawn]] | None = None
        raw = files.get(PROVISIONED)
        self._provisioned = None if raw is None else document_of(raw, problems)
        for file in sorted(files):
            if file != PROVISIONED:
                self._take(file, files[file])
        if ROOT not in files:
            problems.add(Problem(ROOT, 0, 0, "", "there is no gateway.yaml", "write `gateway: {id: plant-7}` into it"))
        self._credentials = credentials
        self._references = References(env, credentials, self._variables(credentials), problems)

    @property
    def secrets(self) -> Mapping[str, str]:
        return self._references.names

    def _take(self, file: str, raw: str | bytes) -> None:
        """A file is refused by its name, or parsed."""
        path, known = PurePosixPath(file), list[Document]()
        if path.suffix in {".yml", ".json"} and len(path.parts) == 2 and path.parts[0] in FOREIGN:
            quiet = Problems()
            if known := foreign_documents(file, raw, quiet):
                self._parse(file, raw, [] if len(quiet) else known)
                return
            before = len(self._problems)
            if path.suffix == ".json":
                read_documents(file, raw, self._problems)  # what is no JSON at all is told so
            if len(self._problems) > before:
                return
        if _is_ours(file, self._problems):
            self._parse(file, raw, [])

    def _parse(self, file: str, raw: str | bytes, known: list[Document]) -> None:
        """Take in the documents of a file; `known` when it was read before, without a fault."""
        before = len(self._problems)
        unread = is_foreign if _kind(file) in FOREIGN else None
        found = known or read_documents(file, raw, self._problems, unread=unread)
        written = [document for document in found if document.data is not None]
        if len(self._problems) > before:
            self._broken.add(_kind(file))
        elif not written and _kind(file) not in {"rules", "alarms"}:
            hint = "write `gateway: {id: plant-7}`" if file == ROOT else "fill it, or remove it"
            self._problems.add(Problem(file, 1, 1, "", "the file is empty", hint))
            self._broken.add(_kind(file))
        self._documents[file] = self._foreign.without(written) if _kind(file) in {"channels", "profiles"} else written

    def _variables(self, credentials: CredentialSource) -> dict[str, Any]:
        documents = self._documents.get(ROOT)
        data = documents[0].data if documents else None
        written = data.get("vars") if isinstance(data, dict) else None
        if not documents or written is None:
            return {}
        origin = Origin(documents[0], ("vars",))
        if not isinstance(written, dict):
            self._problems.at(origin, f"`vars` must be a mapping (key: value), not {show(written)}")
            return {}
        found: dict[str, Any] = {}
        # Variables may use the environment; what they say wrong is reported when the whole file is resolved.
        quiet = References(self._env, credentials, {}, Problems())
        resolved = quiet.resolve(Document(ROOT, written, documents[0].node))
        for name, value in resolved.items():
            if isinstance(value, dict | list) or value is None:
                self._problems.at(origin.child(name), f"the site variable `{name}` must be one value")
            elif "${var:" in str(written[name]):
                self._problems.at(origin.child(name), "a site variable cannot use another one", "write the value")
            else:
                found[name] = value
        return found

    def gateway(self, *, keep_unusable: bool) -> GatewayFile | None:
        documents = self._documents.get(ROOT, [])
        if not documents:
            return None
        for extra in documents[1:]:
            self._problems.at(Origin(extra), "gateway.yaml holds one document", "remove the line `---` and join them")
        data = self._references.resolve(documents[0])
        origin = Origin(documents[0])
        return read_gateway_file(
            data,
            origin,
            base=self._base,
            env=self._env,
            problems=self._problems,
            kinds=self._kinds,
            keep_unusable=keep_unusable,
        )

    def take_over(self, gateway: GatewayFile | None, heard: Heard | None, most_notes: int | None) -> None:
        """Understand the files of other gateways: afterwards they are profiles and channels like all others."""
        if not self._foreign:
            return
        from gateway.importing.draft import Options, drawn
        from gateway.importing.report import Report

        keys = ImportKeys() if gateway is None else gateway.imports
        interval = "" if keys.interval is None else f"{keys.interval:g}s"
        options = Options(strict_edgex=keys.strict_edgex, interval=interval, node=keys.node)
        taken, profiles = names_in(self._documents, "channels"), names_in(self._documents, "profiles")
        before = len(self._problems)
        report = Report(self._problems, most_notes=most_notes)
        draft = self._foreign.draw(options, taken, profiles, report)
        self._foreign = Foreign()  # what the files hold is in the draft: their text and nodes make room
        if len(self._problems) > before:
            self._broken |= {"channels", "profiles"}
        without_secrets(draft, self._credentials)
        channels = [drawn(draft, data, "channels", name) for name, data in draft.channels.items()]
        self._drawn = drawn(draft, draft.profiles, "profiles"), channels
        if heard is not None:
            heard(report.notes)

    def profiles(self) -> Profiles:
        profiles = Profiles(self._problems)
        profiles.incomplete = "profiles" in self._broken
        for file, documents in self._documents.items():
            if _kind(file) == "profiles":
                for document in documents:
                    profiles.read(self._references.resolve(document), Origin(document))
        if self._drawn is not None:
            profiles.read(self._references.resolve(self._drawn[0]), Origin(self._drawn[0]))
        brought, place = self._brought("profiles")
        # what was seen is somebody else's text: nothing in it is a reference, and the folder's profiles come first
        profiles.read({name: value for name, value in brought.items() if name not in profiles.names()}, place)
        profiles.finish()
        return profiles

    def channels(self) -> list[tuple[Origin, Any, bool]]:
        """Each channel's document: where, what, and whether it is the only one of its file."""
        found = []
        for file, documents in self._documents.items():
            if _kind(file) == "channels":
                alone = len(documents) == 1
                found += [(Origin(one), self._references.resolve(one), alone) for one in documents]
        for one in self._drawn[1] if self._drawn else ():
            found.append((Origin(one), {"channel": one.root[-1], **self._references.resolve(one)}, False))
        return found

    def fill(
        self, channels: Channels, profiles: Profiles, gateway: GatewayFile | None, expressions: Expressions | None
    ) -> RuleBook:
        """Read the channels, and then all that names their devices."""
        if gateway is not None:
            channels.timezone = gateway.timezone
        documents = self.channels()
        channels.provisioned = self._accepted({name for _, data, _ in documents for name in _devices_of(data)})
        for origin, data, alone in documents:
            channels.read(data, origin, alone=alone)
        if gateway is None:
            return RuleBook()
        gateway.uplinks.check_against(channels.specs)
        channels.inventory.unsure |= not self._broken.isdisjoint({"channels", "profiles"})
        if not channels.inventory.unsure:
            gateway.servers.check_against(channels.specs)
        maker = BookMaker(channels.inventory, profiles, self.documents("rules"), self.documents("alarms"))
        return maker.make(gateway, expressions, self._problems)

    def _brought(self, section: str) -> tuple[dict[str, Any], Origin]:
        """A section of what discovery brought in, and where it stands."""
        document = self._provisioned
        if document is None:
            return {}, Origin(Document(PROVISIONED, {}, nothing()))
        found = document.data.get(section)
        return found if isinstance(found, dict) else {}, Origin(document, (section,))

    def _accepted(self, written: set[str]) -> dict[str, dict[str, Origin]]:
        """Devices that discovery brought in, without those that the folder has by now."""
        channels, place = self._brought("channels")
        return {
            channel: {name: place.child(channel, name) for name in devices if name not in written}
            for channel, devices in channels.items()
            if isinstance(devices, dict)
        }

    def documents(self, kind: str) -> list[tuple[Origin, Any]]:
        """The documents of a folder, references replaced."""
        return [
            (Origin(one), self._references.resolve(one))
            for file, documents in self._documents.items()
            if _kind(file) == kind
            for one in documents
        ]


def _devices_of(data: Any) -> list[str]:
    """Ids of the devices that are written in a channel's document."""
    written = data.get("devices") if isinstance(data, dict) else None
    found = []
    for key in written if isinstance(written, dict) else ():
        with contextlib.suppress(TemplateError):  # told where the channel is read
            found += [name for name, _ in expand_name(key)]
    return found


def _kind(file: str) -> str:
    return PurePosixPath(file).parts[0]


def _is_ours(file: str, problems: Problems) -> bool:
    """Whether a file's name is one of ours; why it is not read goes to `problems`."""
    path = PurePosixPath(file)
    if file == ROOT:
        return True
    if path.suffix.lower() == ".json":
        hint = "JSON is taken of EdgeX and KubeEdge, as NAME.json right in profiles/ or channels/"
        problems.add(Problem(file, 0, 0, "", "the file is not read", hint))
    elif path.suffix != ".yaml":
        problems.add(Problem(file, 0, 0, "", "the file is not read", f"rename it to {path.with_suffix('.yaml')}"))
    elif len(path.parts) == 1:
        hint = did_you_mean(file, [ROOT])
        hint = hint if hint.startswith("did you mean") else "move it into channels/, profiles/, rules/ or alarms/"
        problems.add(Problem(file, 0, 0, "", "the file is not read", hint))
    elif path.parts[0] not in FOLDERS or len(path.parts) > 2:
        problems.add(Problem(file, 0, 0, "", "the file is not read", f"move it to {path.parts[0]}/{path.name}"))
    else:
        return True
    return False
