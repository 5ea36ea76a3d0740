"""What a signed configuration is: the whole tree of one gateway at one revision, as a TUF target.

It lies at `configs/GATEWAY/REV.json` and is signed by the role `configs`, which may sign what is there and nothing
else: who holds this key cannot publish releases, and who publishes drivers cannot send configurations.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.ota.release import read_signed

ROLE = "configs"
PATHS = "configs/*/*"
MOST_CONFIG = 9 << 20
"""Bytes of a target: the largest tree, as JSON."""
KEPT = 3
"""Revisions of a gateway that stay published."""
_MAX_REV = 2**53 - 1

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]


class SignedTree(Struct, frozen=True, forbid_unknown_fields=True):
    """`tree`: path -> text, all files of the configuration."""

    gateway: Id
    rev: Annotated[int, Meta(ge=1, le=_MAX_REV)]
    tree: dict[str, Any]
    schema: Literal[1] = 1
    kind: Literal["config"] = "config"

    @property
    def target(self) -> str:
        return target_of(self.gateway, self.rev)


def target_of(gateway: str, rev: int) -> str:
    """Where the revision of a gateway lies."""
    return f"{ROLE}/{gateway}/{rev}.json"


def parse_tree(raw: bytes) -> SignedTree:
    """Raises ReleaseRefused."""
    return read_signed(raw, SignedTree, "a signed configuration", MOST_CONFIG)


def superseded(names: list[str], new: SignedTree) -> list[str]:
    """Those of the published names that are too old to be kept beside `new`."""
    prefix = f"{ROLE}/{new.gateway}/"
    revs = sorted(int(name.removeprefix(prefix).removesuffix(".json")) for name in names if name.startswith(prefix))
    return [target_of(new.gateway, rev) for rev in revs[:-KEPT]]
