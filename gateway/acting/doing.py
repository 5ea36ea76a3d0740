"""How each kind of action is done: one coroutine per kind, from the action to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.acting.ports import FAILED, OK, REJECTED, SUPERSEDED, Action, Doors, Outcome, Writes
from gateway.backoff import Backoff
from gateway.clock import Clock
from gateway.model import WriteResult, WriteState
from gateway.threads import Threads
from gateway.webhook import AT_ONCE, HttpRequest, WebhookFailed, host_of, send

WRITE_S = 10.0
"""A write that has not begun by then is not done any more: the plant has moved on."""
COMMAND_S = 60.0
DESIRE_S = 30.0
PUBLISH_S = 60.0
WEBHOOK_S = 60.0
"""A webhook whose turn comes later than this is not called any more."""
VERIFY_S = 60.0
"""How long a write that has begun may take to be read back."""
WEBHOOK_TRIES = 3
_RETRY_FIRST_S, _RETRY_CAP_S = 1.0, 10.0

WITHIN = {
    "write": WRITE_S,
    "desired": DESIRE_S,
    "command": COMMAND_S,
    "publish": PUBLISH_S,
    "webhook": WEBHOOK_S,
}
"""By kind: how long an action may wait for its turn."""


def targets(action: Action) -> list[str]:
    """What an action acts on, as queues: devices, a host, an uplink."""
    step = action.step
    if step.kind == "publish":
        return [f"uplink {step.uplink}"]
    if step.kind == "webhook":
        return [f"host {host_of(step.url)}"]
    if step.kind == "command":
        return [f"device {step.device}"]
    return [f"device {name.partition('.')[0]}" for name, _ in action.values]


def named(action: Action) -> str:
    """Kind and target for people. Never a URL: it may hold a token."""
    step = action.step
    if step.kind == "publish":
        return f"publish {step.topic}"
    if step.kind == "webhook":
        return f"webhook {host_of(step.url)}"
    if step.kind == "command":
        return f"command {step.op} {step.device}".rstrip()
    if step.kind == "notify":
        return f"notify {', '.join(step.to)}"
    return f"{step.kind} {', '.join(name for name, _ in action.values)}".rstrip()


def who(action: Action) -> str:
    """As whom a rule acts, in audit entries and results."""
    return f"rule:{action.rule}"


class Doer:
    """Does actions whose turn has come. Raises GatewayError and TimeoutError for what is not done."""

    def __init__(self, writes: Writes, doors: Doors, clock: Clock) -> None:
        self._writes = writes
        self._doors = doors
        self._clock = clock
        self._threads = Threads("webhook", AT_ONCE)
        self._kinds: dict[str, Callable[[Action, float], Awaitable[Outcome]]] = {
            "write": self._write,
            "desired": self._desire,
            "command": self._command,
            "publish": self._publish,
            "webhook": self._call,
        }

    def knows(self, kind: str) -> bool:
        return kind in self._kinds

    def do(self, action: Action, left_s: float) -> Awaitable[Outcome]:
        """`left_s`: nothing of it may begin later."""
        return self._kinds[action.step.kind](action, left_s)

    async def _write(self, action: Action, left_s: float) -> Outcome:
        async with asyncio.timeout(left_s + VERIFY_S):
            results = await self._writes.write(dict(action.values), origin=who(action), via="rule", deadline_s=left_s)
        return written(results)

    async def _desire(self, action: Action, left_s: float) -> Outcome:
        by_device: dict[str, dict[str, Any]] = {}
        for name, value in action.values:
            device, _, path = name.partition(".")
            by_device.setdefault(device, {})[path] = value
        async with asyncio.timeout(left_s):
            for device, values in by_device.items():
                await self._doors.desire(device, values, who(action))
        return Outcome()

    async def _command(self, action: Action, left_s: float) -> Outcome:
        step = action.step
        async with asyncio.timeout(left_s):
            body = await self._doors.command(step.op, step.device, dict(step.args), who(action), left_s)
        code = int(body.get("code", 200))
        if code == 200:
            return Outcome()
        text = str(body.get("text") or _first_text(body.get("items")))
        return Outcome(REJECTED if code < 500 and code != 207 else FAILED, code, text)

    async def _publish(self, action: Action, left_s: float) -> Outcome:
        step = action.step
        payload = action.text.encode("utf-8", "replace")
        async with asyncio.timeout(left_s + 1.0):
            await self._doors.publish(step.uplink, step.topic, payload, retain=step.retain, expiry_s=left_s)
        return Outcome()

    async def _call(self, action: Action, _left_s: float) -> Outcome:
        step = action.step
        body = action.text.encode("utf-8", "replace")
        request = HttpRequest(step.url, body, step.method, step.headers, step.timeout_s)
        pause = Backoff(_RETRY_FIRST_S, _RETRY_CAP_S)
        for left in reversed(range(WEBHOOK_TRIES)):
            try:
                return Outcome(OK, await send(request, self._threads))
            except WebhookFailed as failed:
                if not left or not failed.again:
                    raise
            await self._clock.sleep(pause.next())
        raise AssertionError("unreachable")


def written(results: Sequence[WriteResult]) -> Outcome:
    """One outcome for all values of a write: the first reason when something is wrong."""
    bad = [result for result in results if result.state is not WriteState.OK]
    if not bad:
        return Outcome()
    worst = next((result for result in bad if result.state is not WriteState.SUPERSEDED), bad[0])
    if worst.state is WriteState.SUPERSEDED:
        return Outcome(SUPERSEDED, worst.code, worst.text)
    code = worst.code if len(bad) == len(results) else 207
    return Outcome(worst.state.value, code, worst.text)


def _first_text(items: Any) -> str:
    """Why the first bad item of a command is bad."""
    if isinstance(items, dict):
        for name, item in items.items():
            if isinstance(item, dict) and item.get("code") != 200:
                return f"{name}: {item.get('text', item.get('code'))}"
    return ""
