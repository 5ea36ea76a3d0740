"""Op `config` of jobs: a whole configuration tree from afar, tried and kept or taken back by itself.

`doc` is {"rev": 7, "tree": {"gateway.yaml": "...", "channels/line1.yaml": "..."}}, or instead of the tree the name of a
signed one: {"rev": 7, "target": "configs/GATEWAY/7.json"}. Revisions only grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import json

from gateway.errors import ConfigError, GatewayError, Problem
from gateway.jobs.work import Ended, Job, JobCancelled, JobRefused, JobState, Running
from gateway.preloading import preload
from gateway.runtime.applier import Busy
from gateway.settings import afar
from gateway.settings.generations import Outcome, Trial, content_digest
from gateway.settings.provisioned import FILE as PROVISIONED

if TYPE_CHECKING:
    from gateway.ota.places import Places
    from gateway.runtime.fetching import Parts
    from gateway.runtime.node import Node
    from gateway.runtime.signedconfig import SignedConfigs
    from gateway.settings.types import GatewaySettings

MOST_ERRORS = 50
_MOST_TEXT = 300
_MOST_BYTES = 16_000
_MAX_REV = 2**53 - 1

Files = Mapping[str, bytes]


class ConfigWork:
    """Over the running node."""

    def __init__(
        self,
        node: Node,
        parts: Callable[[str, str], Parts | None] = lambda _via, _job: None,
        places: Places | None = None,
    ) -> None:
        """`parts` brings signed configurations over an uplink, for a job; `places`: this machine's."""
        self._node = node
        self._parts = parts
        self._places = places

    def check(self, job: Job) -> None:
        """The form of `doc`, and whether trees of this kind are taken at all."""
        doc, mode = job.doc, self._node.settings.remote_config
        strange = sorted(str(key) for key in doc.keys() - {"rev", "tree", "target"})
        if strange:
            raise JobRefused(f"doc.{strange[0][:40]}: a configuration has `rev` and `tree`, nothing else")
        rev = doc.get("rev")
        if not isinstance(rev, int) or isinstance(rev, bool) or not 1 <= rev <= _MAX_REV:
            raise JobRefused("doc.rev: a whole number, 1 or more")
        if ("tree" in doc) == ("target" in doc):
            raise JobRefused("doc: a configuration has either `tree` or `target`")
        if mode == "off":
            raise JobRefused("remote_config is off: this gateway takes no configuration from afar", code=403)
        if "target" in doc:
            self._signed().check(job)
        elif mode == "signed":
            raise JobRefused("remote_config is signed: a plain `tree` is not taken", code=403)
        elif not isinstance(doc["tree"], dict):
            raise JobRefused("doc.tree: a mapping of paths and texts")

    async def run(self, running: Running) -> Ended:
        """Once more after a restart: what was begun is waited for, what had not begun is done."""
        job = running.job
        rev = int(job.doc["rev"])
        ended = await self._node.applier.ended(_key(job))
        if ended is not None:
            return self._told(ended)
        try:
            if "tree" not in job.doc:
                await preload(("gateway.runtime.signedconfig",))
            tree = job.doc["tree"] if "tree" in job.doc else (await self._signed().fetch(running)).tree
            return await self._apply(running, rev, afar.tree_of(tree))
        except ConfigError as error:
            raise self._refused(error) from error
        except Busy as busy:
            raise JobRefused(str(busy), code=409, detail=self._now()) from busy
        except (JobRefused, JobCancelled):
            raise
        except Exception:
            ended = self._node.generations.outcome(_key(job))
            if ended is None:
                raise  # nothing was changed
            return self._told(ended)

    async def _apply(self, running: Running, rev: int, files: Files) -> Ended:
        job, node = running.job, self._node
        digest = content_digest(files)
        if self._is_known(rev, digest):
            return self._succeeded("this configuration runs already", rev)
        await running.step("validate", percent=0)
        active = node.generations.active()
        runs = active.files() if active is not None else {}
        await asyncio.to_thread(afar.refuse_reaching, files, runs)

        async def check(new: GatewaySettings) -> None:
            await asyncio.to_thread(afar.refuse_lockout, node.settings, new, files)
            await self._rehearse(new)

        async def commit() -> None:
            await running.commit()
            self._record(job, "config_apply", rev=rev)
            await running.step("apply", percent=50)

        answer = await node.applier.apply_from_afar(
            files, Trial(job=_key(job), rev=rev, digest=digest), who=f"job:{job.id}", check=check, commit=commit
        )
        if answer.get("unchanged"):
            return self._succeeded("it means what ran already", rev)
        await running.step("gates", percent=75, gates=answer["gates"], window_s=answer["window_s"])
        ended = await node.applier.ended(_key(job))
        if ended is None:
            return Ended(JobState.FAILED, "the change was lost", 500, self._now())
        return self._told(ended)

    def _signed(self) -> SignedConfigs:
        from gateway.ota.places import Places
        from gateway.ota.slots import own_slot
        from gateway.runtime.signedconfig import SignedConfigs

        own = own_slot()
        return SignedConfigs(self._node, self._parts, self._places or (own[0] if own else Places()))

    def _is_known(self, rev: int, digest: str) -> bool:
        """Whether this very tree runs. Raises JobRefused for an older one, and for one that failed here."""
        generations = self._node.generations
        last, last_digest = generations.remote()
        if rev < last or (rev == last and digest != last_digest):
            text = f"doc.rev: {rev} is not newer than {last}, which was applied before"
            raise JobRefused(text, code=409, detail=self._now())
        reason = generations.failed_before(digest)
        if reason is not None:
            text = f"this content was taken back here before: {reason}"
            raise JobRefused(text, code=409, detail=self._now())
        active = generations.active()
        return rev == last and active is not None and content_digest(_sent(active.files())) == digest

    async def _rehearse(self, new: GatewaySettings) -> None:
        """Raises ConfigError for rules that fail on the latest readings, unless they fail already."""
        book = new.book
        if book == self._node.settings.book and new.channels == self._node.settings.channels:
            return
        await preload(("gateway.runtime.dryrun",))
        from gateway.runtime.dryrun import rehearse

        await self._node.store.commit()
        found = await rehearse(new, self._node.store)
        known = {one.entity for one in self._node.health.open() if one.id == "rule_failed"}
        problems = [
            Problem("", 0, 0, rule, f"rule {rule} fails on the latest readings: {text}")
            for rule, text in found.failed.items()
            if rule not in known
        ]
        if problems:
            raise ConfigError(problems)

    def _told(self, ended: Outcome) -> Ended:
        if ended.outcome == "confirmed":
            return self._succeeded("", ended.rev)
        reason = ended.reason or "the gateway ended twice while the configuration was tried"
        self._record_end(ended, reason)
        detail = {**self._now(), "rolled_back": True, "reason": reason}
        return Ended(JobState.FAILED, f"taken back: {reason}", 500, detail)

    def _succeeded(self, text: str, rev: int) -> Ended:
        later = self._node.restart_required
        detail = {**self._now(), "rev": rev, **({"restart_required": list(later)} if later else {})}
        return Ended(JobState.SUCCEEDED, text, 200, detail)

    def _now(self) -> dict[str, Any]:
        """What runs: `rev` is that of the last tree that was kept."""
        try:
            rev = self._node.generations.remote()[0]
        except (GatewayError, OSError):
            rev = 0
        return {"rev": rev, "hash": self._node.settings.hash}

    def _refused(self, error: ConfigError) -> JobRefused:
        rows = _rows(error.problems)
        detail = {**self._now(), "errors": rows}
        if len(rows) < len(error.problems):
            detail["more"] = len(error.problems) - len(rows)
        first = str(error.problems[0])[:_MOST_TEXT] if error.problems else "the configuration is wrong"
        return JobRefused(first, code=422, detail=detail)

    def _record(self, job: Job, what: str, **details: Any) -> None:
        self._node.audit.record(f"job:{job.id}", f"uplink:{job.via}", what, **details)

    def _record_end(self, ended: Outcome, reason: str) -> None:
        who = ended.job.rpartition("/")[0]
        self._node.audit.record(f"job:{who}", "local", "config_revert", rev=ended.rev, text=reason)


def _key(job: Job) -> str:
    """What the change of a job is known by: another version of a job is another change."""
    return f"{job.id}/{job.ver}"


def _sent(files: Files) -> Files:
    """The files of a generation that somebody sent or wrote."""
    return {name: raw for name, raw in files.items() if name != PROVISIONED}


def _rows(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """As many as a status has room for."""
    rows: list[dict[str, Any]] = []
    room = _MOST_BYTES
    for problem in problems[:MOST_ERRORS]:
        row = _row(problem)
        room -= len(json.encode(row))
        if room < 0:
            break
        rows.append(row)
    return rows


def _row(problem: Problem) -> dict[str, Any]:
    row = {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path[:_MOST_TEXT],
        "message": problem.message[:_MOST_TEXT],
        "hint": problem.hint[:_MOST_TEXT],
    }
    return {name: value for name, value in row.items() if value}
