"""bundle config: a configuration folder, signed for one gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.commands.bundle import days_of, password_of, repository_to_sign, say, signers_of
from gateway.cli.configtarget import checked_tree
from gateway.cli.session import CommandFailed, Exit, Session

if TYPE_CHECKING:
    from gateway.ota.configs import SignedTree


def run(session: Session) -> int:
    """Publish the folder. The first time, a key of configurations is made, and the key of targets lets it sign them."""
    from gateway.ota.configs import ROLE, SignedTree
    from gateway.ota.publisher.configs import is_allowed, publish_config
    from gateway.ota.publisher.keys import make_key

    args = session.args
    tree = checked_tree(session, Path(args.folder), args.gateway)
    content = SignedTree(gateway=args.gateway, rev=args.rev, tree=tree)
    _check(content)
    repository, signers, lines = repository_to_sign(session), dict(signers_of(session)), []
    if not signers.get(ROLE):
        if is_allowed(repository):
            raise CommandFailed(f"there is no key of configurations (configs-N.pem) in {', '.join(args.keys)}")
        signers[ROLE] = [make_key(Path(args.keys[0]), ROLE, password_of(session))]
        lines.append(f"a key of configurations is in {args.keys[0]}: it signs them and nothing else")
    if not is_allowed(repository):
        repository.delegate_configs([key.public_key for key in signers[ROLE]], signers, days_of(session))
    version = publish_config(repository, content, signers, days_of(session))
    lines.append(f"{content.target} is published in {repository.folder} (set {version})")
    return say(session, {"target": content.target, "rev": content.rev, "set": version}, lines)


def _check(content: SignedTree) -> None:
    """As the gateway will read it."""
    import msgspec

    from gateway.ota.configs import parse_tree
    from gateway.ota.release import ReleaseRefused

    try:
        parse_tree(msgspec.json.encode(content))
    except ReleaseRefused as error:
        raise CommandFailed(str(error), Exit.USAGE) from None
