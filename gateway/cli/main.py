"""`fieldpost`: parse, call, print. No traceback ever reaches a user; `--debug` shows it to those who ask."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.cli.output import Output, clean
from gateway.cli.parser import UsageError, parse
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.errors import ConfigError, GatewayError
from gateway.local.wire import NotRunning, OpError

_WRONG_WORDS = 400  # what only the gateway can judge: a type, a range, a value of a tag
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _prepare_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parse(words)
    except UsageError as err:
        return _wrong_usage(err, as_json="--json" in words)
    out = Output(as_json=getattr(args, "json", False))
    session = Session(args, out)
    try:
        status = int(args.run(session))
        sys.stdout.flush()
    except BrokenPipeError:  # `| head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as err:
        if getattr(args, "debug", False):
            raise
        return _explain(session, err)
    return status


def _prepare_streams() -> None:
    """A stream that is closed takes everything; one that cannot show a character shows its number."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it lasts
        elif isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="backslashreplace")


def _wrong_usage(err: UsageError, *, as_json: bool) -> int:
    if as_json:
        Output(as_json=True).result({"ok": False, "code": _WRONG_WORDS, "text": str(err)})
    else:
        print(f"{err.usage}fieldpost: {clean(str(err))}", file=sys.stderr)
    return Exit.USAGE


def _explain(session: Session, err: Exception) -> int:
    """Say in one line what is wrong and what to do; the exit status tells scripts the kind."""
    if isinstance(err, ConfigError):
        from gateway.cli.commands.configuration import show_problems

        return show_problems(session, err.problems)
    status, code, text = _classify(session, err)
    if session.out.as_json:
        session.out.result({"ok": False, "code": code, "text": text})
    else:
        print(f"fieldpost: {clean(text)}", file=sys.stderr)
    return status


def _classify(session: Session, err: Exception) -> tuple[int, int, str]:
    if isinstance(err, NotRunning):
        where = session.option("config")
        start = f"fieldpost run --config {where}" if where else "fieldpost run"
        return Exit.NOT_RUNNING, 503, f"{err}; start it with `{start}` or `systemctl start fieldpost`"
    if isinstance(err, CommandFailed):
        return err.exit_with, 400 if err.exit_with == Exit.USAGE else 500, str(err)
    if isinstance(err, OpError):
        return Exit.USAGE if err.code == _WRONG_WORDS else Exit.FAILED, err.code, str(err)
    if isinstance(err, GatewayError):
        return Exit.FAILED, int(getattr(err, "code", 500)), str(err)
    if isinstance(err, OSError):
        return Exit.FAILED, 500, f"{err.filename}: {err.strerror}" if err.filename else str(err)
    name = type(err).__name__
    return Exit.FAILED, 500, f"{name}: {err}; this is a bug in Fieldpost, `--debug` shows where"


if __name__ == "__main__":
    sys.exit(main())
