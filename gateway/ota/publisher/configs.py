"""Publishing configurations in a repository: signed by a role of their own, one set for all gateways."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec
from securesystemslib.signer import Signer
from tuf.api import exceptions
from tuf.api.metadata import Metadata, TargetFile, Targets

from gateway.ota.configs import ROLE, SignedTree, superseded
from gateway.ota.publisher.repository import DAYS, Repository, RepositoryError, Signers


def is_allowed(repository: Repository) -> bool:
    """Whether some key signs configurations here."""
    delegations = repository.targets.delegations
    return delegations is not None and ROLE in (delegations.roles or {})


def publish_config(
    repository: Repository, content: SignedTree, signers: Signers, days: Mapping[str, int] = DAYS
) -> int:
    """Publish a configuration; the version of the set that is signed now. Raises RepositoryError."""
    keys: Sequence[Signer] = signers.get(ROLE, ())
    if not keys:
        raise RepositoryError("no key of configurations is given")
    before = repository.published(ROLE)
    if before is not None:
        newest = _newest(before, content)
        if content.rev < newest:
            raise RepositoryError(f"{content.gateway} has revision {newest}: revisions only grow")
    raw = msgspec.json.format(msgspec.json.encode(content), indent=1)
    info = TargetFile.from_data(content.target, raw, ["sha256"])
    targets = before or Targets(1)
    if targets.targets.get(content.target, info) != info:
        raise RepositoryError(f"{content.target} is published already, with another content: raise --rev")
    targets.targets[content.target] = info
    for name in superseded(list(targets.targets), content):
        del targets.targets[name]
    targets.version += before is not None
    targets.expires = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=days["targets"])
    metadata = Metadata(targets)
    for key in keys:
        metadata.sign(key, append=True)
    try:
        repository.targets.verify_delegate(ROLE, metadata.signed_bytes, metadata.signatures)
    except (exceptions.UnsignedMetadataError, ValueError):
        raise RepositoryError("the key that is given signs no configurations here") from None
    repository.publish_role(ROLE, metadata, [(info, raw)], signers, days)
    return targets.version


def _newest(targets: Targets, content: SignedTree) -> int:
    prefix = f"{ROLE}/{content.gateway}/"
    revs = [int(name.removeprefix(prefix).removesuffix(".json")) for name in targets.targets if name.startswith(prefix)]
    return max(revs, default=0)
