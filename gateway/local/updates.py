"""Ops of the local socket about updates and jobs."""

from __future__ import annotations

from typing import Any

from gateway.runtime.node import Node


class UpdateOps:
    """Over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def answer(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One op by its name."""
        if op == "jobs":
            left_out = self._node.jobs.left_out()
            said = {"jobs": self._node.jobs.view()}  # all that are known, the newest last
            return {**said, "left_out": left_out} if left_out else said
        return await self._install(args) if op == "ota_install" else self._ota()

    def _ota(self) -> dict[str, Any]:
        """The gateway's part in updates; empty where it does not run from a release slot."""
        return self._node.updating.view() if self._node.updating else {}

    async def _install(self, args: dict[str, Any]) -> dict[str, Any]:
        """Have a release or driver of the repository installed, as a job of this machine; gives the job's state."""
        target, job = str(args.get("target", "")), str(args.get("job", ""))
        op = "driver" if target.startswith("drivers/") else "ota"
        self._node.audit.record(str(args.get("caller", "")), "local", "ota_install", job=job, text=target)
        return {"job": await self._node.jobs.ask(job, op, {"target": target})}
