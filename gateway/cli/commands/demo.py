"""demo."""

from __future__ import annotations

import asyncio

from gateway.cli.session import CommandFailed, Exit, Session


def demo(session: Session) -> int:
    """A plant, a broker and a gateway on this machine, until Ctrl-C."""
    from gateway.demo.show import show

    text = str(session.args.port_base)
    base = None if text == "auto" else int(text) if text.isdecimal() else -1
    if base is not None and not 1 <= base <= 65531:
        raise CommandFailed("--port-base is `auto` or the first of five TCP ports", Exit.USAGE)
    plain = session.args.plain
    return asyncio.run(show(session.out, session.option("lasting"), base, plain=plain))
