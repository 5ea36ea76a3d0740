"""Who may log in."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from asyncua.crypto.permission_rules import User, UserRole

from drivers.opcua.server.settings import UserKeys

_NOBODY = "\0"
"""Compared with where there is no such user: the time it takes tells nothing."""


class Users:
    """The library's user manager over the configured users. Nobody is an administrator of the address space."""

    def __init__(self, users: Mapping[str, UserKeys], *, anonymous: bool) -> None:
        self._users = users
        self._anonymous = anonymous

    def get_user(
        self,
        _iserver: Any,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,  # noqa: ARG002 - the library's form
    ) -> User | None:
        """The user of a session; None refuses it."""
        if username is None:
            return User(role=UserRole.User, name=None) if self._anonymous else None
        known = self._users.get(username)
        wanted = _NOBODY if known is None else known.password
        if hmac.compare_digest((password or "").encode(), wanted.encode()) and known is not None:
            return User(role=UserRole.User, name=username)
        return None  # who tried, and how often: guesses.py

    def may_write(self, user: User) -> bool:
        """Whether a user may write what is offered for writing."""
        known = self._users.get(user.name or "")
        return known is not None and known.write
