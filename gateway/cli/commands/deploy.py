"""fleet deploy, jobs, cancel: jobs for gateways, in waves, and what became of them."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli import deploy_tables as tables
from gateway.cli.configtarget import config_target, is_folder
from gateway.cli.deploy_screen import Screen
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.clock import SystemClock
from gateway.fleet import Fleet, FleetError
from gateway.fleet.deploying import Beside
from gateway.fleet.deployment import Deployment, Record
from gateway.fleet.names import checked_id
from gateway.fleet.planning import EXPIRES_S, Intent
from gateway.fleet.rollout import Limits, Rollout
from gateway.fleet.selecting import Selector
from gateway.fleet.targets import Target, named_target, no_target, windowed

_WITHIN_S, _WITHIN_WINDOW_S = 2 * 3600.0, 26 * 3600.0
_ANSWER_S = 120.0

Call = Callable[[Fleet], Awaitable[int]]


def deploy(session: Session) -> Call:
    """Exit 0 when every gateway has it, 1 when it stopped or any failed, 75 when some are still away."""
    args = session.args
    serving = Serving(session)
    if args.resume is not None:
        _refuse_with_resume(session)
        record = Record.load(_folder(session), checked_id("deployment", args.resume))
        return lambda fleet: _run(session, fleet, record, _limits(session, record.deployment), serving)
    if args.target is None or not args.to:
        raise CommandFailed("say what (TARGET) and for whom (--to SELECTOR)", Exit.USAGE)
    target = windowed(_target(session), args.window, args.group)
    intent = Intent(
        target=target,
        to=[Selector(text) for text in args.to],
        but=[Selector(text) for text in args.but or ()],
        canary=args.canary,
        batch=args.batch,
        name="" if args.id is None else checked_id("deployment", args.id),
        expires_s=args.exp or EXPIRES_S,
        url=args.url or "",
    )

    async def call(fleet: Fleet) -> int:
        plan = await fleet.plan(intent)
        if args.dry_run:
            tables.plan(session.out, plan)
            return Exit.OK
        if not args.replace:
            plan.refuse_occupied(plan.deployment.made)
        record = Record.create(_folder(session), plan.deployment)
        return await _run(session, fleet, record, _limits(session, plan.deployment), serving)

    return call


async def _run(session: Session, fleet: Fleet, record: Record, limits: Limits, serving: Serving) -> int:
    rollout = Rollout(record.deployment.division, limits)
    rollout.resume(record.ends, record.sent, SystemClock().mono())
    screen = Screen(session.out, record.deployment, rollout)
    running = fleet.deploying(record, rollout, replace=session.args.replace, look=screen.look, beside=serving.beside)
    try:
        with serving.web():
            await running.run()
    except BaseException:
        screen.close()
        tables.left(session.out, record.deployment, rollout, running.retained)
        raise
    screen.close()
    tables.outcome(session.out, record.deployment, rollout)
    if rollout.stopped or rollout.failures:
        return Exit.FAILED
    return Exit.NOT_YET if any(course.pending for course in rollout.courses.values()) else Exit.OK


def _target(session: Session) -> Target:
    text: str = session.args.target
    target = named_target(text)
    if target is None and is_folder(text):
        target = config_target(session, text, session.args.rev)
    elif target is None:
        raise no_target(text)
    elif session.args.rev is not None:
        raise CommandFailed("--rev is for the folder of a configuration", Exit.USAGE)
    if session.args.serve is not None:
        _check_published(Path(session.args.serve), target)
    return target


def _check_published(folder: Path, target: Target) -> None:
    from gateway.fleet.repositoryfiles import published

    names = published(folder)
    for name in target.names:
        if name not in names:
            raise CommandFailed(f"{name} is not published in {folder}: `fieldpost bundle show --repo {folder}`")


def _limits(session: Session, deployment: Deployment) -> Limits:
    args = session.args
    waits = any("window" in doc for doc in deployment.docs.values())
    return Limits(
        within_s=args.within or (_WITHIN_WINDOW_S if waits else _WITHIN_S),
        answer_s=args.answer or _ANSWER_S,
        offline_s=args.wait_offline or 0.0,
        soak_s=args.soak or 0.0,
        most_failures=args.max_failures or 0,
    )


def _refuse_with_resume(session: Session) -> None:
    """What was planned stays as it was planned."""
    args = session.args
    given = {
        "TARGET": args.target,
        "--to": args.to,
        "--but": args.but,
        "--canary": args.canary,
        "--batch": args.batch,
        "--window": args.window,
        "--group": args.group,
        "--exp": args.exp,
        "--rev": args.rev,
        "--id": args.id,
        "--dry-run": args.dry_run or None,
    }
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise CommandFailed(f"--resume goes on as it was planned: without {', '.join(wrong)}", Exit.USAGE)


def jobs(session: Session) -> Call:
    """Exit 0, also when there are none."""
    name = None if session.args.gateway is None else checked_id("gateway", session.args.gateway)

    async def call(fleet: Fleet) -> int:
        board = await fleet.jobs([] if name is None else [name])
        if session.args.ask:
            ours = {gateway: there.payload for gateway, there in board.next.items()}
            board = await fleet.ask_again(ours, session.args.timeout)
        tables.jobs(session.out, board, name, round(time.time() * 1000))
        return Exit.OK

    return call


def cancel(session: Session) -> Call:
    """Exit 1 when any goes on, or nothing was heard of it."""
    names = [checked_id("gateway", name) for name in session.args.gateway]
    of = session.args.all_of
    if bool(names) == (of is not None):
        raise CommandFailed("name gateways, or a deployment with --all-of", Exit.USAGE)
    if of is not None:
        checked_id("deployment", of)

    async def call(fleet: Fleet) -> int:
        board = await fleet.jobs(names)
        if of is not None:
            found = {name: of for name, there in board.next.items() if there.job is not None and there.job.id == of}
        else:
            found = {name: _id(board.next[name]) for name in names if name in board.next}
        missing = [name for name in names if name not in found]
        if missing or not found:
            told = f"no job stands at {', '.join(missing)}" if missing else f"no job of {of} stands at the broker"
            raise FleetError(told, code=404)
        done = await fleet.withdraw(found, session.args.timeout)
        tables.withdrawn(session.out, done)
        return Exit.OK if all(each.ok for each in done) else Exit.FAILED

    return call


def _id(there: Any) -> str:
    return there.job.id if there.job is not None else ""


def serve(session: Session) -> Call:
    """Until interrupted."""
    serving = Serving(session)
    beside = serving.beside
    assert beside is not None

    async def call(fleet: Fleet) -> int:
        session.out.line(f"serving {session.args.serve} over the broker; Ctrl-C ends it")
        with serving.web():
            async with fleet.another() as link:
                await beside(link)
        return Exit.OK

    return call


class Serving:
    """Serves the repository that was named, if one was: over the broker (`beside`), and over `web`."""

    def __init__(self, session: Session) -> None:
        """Raises FleetError when it is no repository."""
        self.beside: Beside | None = None
        self._out = session.out
        self._http = session.args.http
        if session.args.serve is None:
            if self._http is not None:
                raise CommandFailed("--http serves a repository: name it with --serve DIR", Exit.USAGE)
            return
        from gateway.cli.broker import broker_of
        from gateway.fleet.partserver import PartServer
        from gateway.fleet.repositoryfiles import RepositoryFiles

        self._files = RepositoryFiles(Path(session.args.serve))
        tenant = broker_of(session, options_suffice=True).tenant
        self.beside = PartServer(self._files, tenant, rate=session.args.rate).run

    @contextmanager
    def web(self) -> Iterator[None]:
        """Meanwhile. Raises FleetError when the address cannot be served at."""
        if self._http is None:
            yield
            return
        from gateway.fleet.webserver import web_serving

        with web_serving(self._files, *self._http) as url:
            if not self._out.as_json:
                self._out.line(f"the repository is at {url}")
            yield


def _folder(session: Session) -> Path:
    """Where deployments are noted."""
    if session.args.records is not None:
        return Path(session.args.records)
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "fieldpost" / "deployments"
