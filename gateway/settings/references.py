"""`${env:NAME}`, `${credential:NAME}` and `${var:NAME}` in values, and the rule that secrets are credentials only.

A reference that is the whole value of a variable keeps the variable's type; in a longer text it becomes text.
A word of the environment stays text where text is wanted and becomes a number or a bool where that is wanted
(convert.py), so `${env:UNIT}` works for both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.settings.credentials import CredentialError, CredentialSource
from gateway.settings.ids import did_you_mean
from gateway.settings.positions import Document, Key, Origin, Problems

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_KIND = re.compile(r"(env|credential|var):([A-Za-z0-9_.-]+)\Z")
_SECRET_KEY = re.compile(r"(?:.*_)?(?:password|passphrase|secret|token|api_?key|private_key|pin_code)\Z", re.IGNORECASE)
_CREDENTIAL_ONLY_FILES = ("key",)
_MAY_BE_CREDENTIAL = ("username", "community", "write_community")
_TAG_VALUES = ("write", "desired", "set")
"""Below these a key is a tag's name, whatever it looks like."""


def is_secret_key(key: Key) -> bool:
    """Whether a key by its name holds a secret."""
    return isinstance(key, str) and _SECRET_KEY.match(key) is not None


class References:
    """Replaces references in documents. Remembers what every secret was called, so that hashes never see one."""

    def __init__(
        self,
        env: Mapping[str, str],
        credentials: CredentialSource,
        variables: Mapping[str, Any],
        problems: Problems,
    ) -> None:
        self._env = env
        self._credentials = credentials
        self._variables = variables
        self._problems = problems
        self.names: dict[str, str] = {}
        """Secret text or key file -> the reference it was written as."""

    def resolve(self, document: Document) -> Any:
        """The document's data with references replaced; the document itself is not changed. What has none is not
        copied: the result is for reading.
        """
        return self._value(document.data, Origin(document))

    def _value(self, value: Any, origin: Origin) -> Any:
        if isinstance(value, dict):
            found = {key: new for key, item in value.items() if (new := self._entry(key, item, origin)) is not item}
            return value | found if found else value
        if isinstance(value, list):
            items = [
                self._value(item, origin.child(index)) if _deep(item) else item for index, item in enumerate(value)
            ]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        if isinstance(value, str) and "${" in value:
            return self._text(value, origin)
        return value

    def _entry(self, key: str, item: Any, origin: Origin) -> Any:
        if item is not None and not isinstance(item, dict):
            above = origin.path[-1] if origin.path else ""
            if above in _TAG_VALUES:
                return self._value(item, origin.child(key)) if _deep(item) else item
            if above == "headers" and isinstance(item, str) and "${credential:" in item:
                return self._header(item, origin.child(key))
            if is_secret_key(key):
                return self._secret(key, item, origin.child(key))
            if key in _CREDENTIAL_ONLY_FILES and above == "tls":
                return self._key_file(item, origin.child(key))
            may_be = key in _MAY_BE_CREDENTIAL or (key == "url" and above == "webhook")
            if may_be and isinstance(item, str) and item.startswith("${credential:"):
                return self._secret(key, item, origin.child(key))
        return self._value(item, origin.child(key)) if _deep(item) else item

    def _credential_name(self, value: Any) -> str | None:
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        kind = _KIND.match(match[1]) if match else None
        return kind[2] if kind and kind[1] == "credential" else None

    def _secret(self, key: str, value: Any, origin: Origin) -> str:
        name = self._credential_name(value)
        if name is None:
            self._problems.at(
                origin, f"a {key} is given as a credential only", f'write "${{credential:{key}}}"', spoils=True
            )
            return ""
        try:
            secret = self._credentials.read(name)
        except CredentialError as error:
            self._problems.at(origin, str(error), error.hint, spoils=True)
            return ""
        self.names[secret] = f"${{credential:{name}}}"
        return secret

    def _header(self, text: str, origin: Origin) -> str:
        """A header of HTTP: a credential may stand in its midst, as in `Bearer ${credential:hook}`."""

        def one(match: re.Match[str]) -> str:
            if self._credential_name(match[0]) is not None:
                return self._secret("header", match[0], origin)
            return _as_text(self._one(match[1], origin))

        filled = _REFERENCE.sub(one, text)
        self.names[filled] = text
        return filled

    def _key_file(self, value: Any, origin: Origin) -> str:
        name = self._credential_name(value)
        if name is None:
            hint = 'write "${credential:gw_key}" and put the file into credentials/gw_key'
            self._problems.at(origin, "a private key is given as a credential only", hint, spoils=True)
            return ""
        try:
            path = str(self._credentials.path(name).absolute())
        except CredentialError as error:
            self._problems.at(origin, str(error), error.hint, spoils=True)
            return ""
        self.names[path] = f"${{credential:{name}}}"
        return path

    def _text(self, text: str, origin: Origin) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole:
            return self._one(whole[1], origin)
        return _REFERENCE.sub(lambda match: _as_text(self._one(match[1], origin)), text)

    def _one(self, inside: str, origin: Origin) -> Any:
        match = _KIND.match(inside)
        if match is None:
            hint = "use ${env:NAME}, ${credential:NAME} or ${var:NAME}"
            self._problems.at(origin, f"`${{{inside}}}` is not a reference", hint, spoils=True)
            return ""
        kind, name = match[1], match[2]
        if kind == "credential":
            hint = "credentials stand alone, as a password, token, username or tls key"
            self._problems.at(origin, "a credential cannot be used here", hint, spoils=True)
            return ""
        if kind == "env":
            if name not in self._env:
                self._problems.at(
                    origin, f"the environment has no `{name}`", f"set {name} for the service", spoils=True
                )
            return FromEnvironment(self._env.get(name, ""))
        if name not in self._variables:
            hint = did_you_mean(name, self._variables) or f"add `vars: {{{name}: ...}}` to gateway.yaml"
            self._problems.at(origin, f"there is no site variable `{name}`", hint, spoils=True)
            return ""
        return self._variables[name]


class FromEnvironment(str):
    """A text from the environment: may become a number or a bool where one is wanted."""

    __slots__ = ()


def _deep(item: Any) -> bool:
    return isinstance(item, dict | list) or (isinstance(item, str) and "${" in item)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
