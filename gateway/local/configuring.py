"""Changing the configuration from here: what would change, change it, keep it, go back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError, Problem
from gateway.local.arguments import number
from gateway.local.connection import Handler
from gateway.local.wire import OpError
from gateway.runtime.node import Node


def configuring_handlers(node: Node) -> dict[str, Handler]:
    """The ops by name."""
    ops = _ConfigurationOps(node)
    return {
        "plan": Handler(ops.plan, "admin"),  # it reads any folder with the gateway's rights
        "apply": Handler(ops.apply, "admin"),
        "confirm": Handler(ops.confirm, "admin"),
        "rollback": Handler(ops.rollback, "admin"),
        "generations": Handler(ops.generations),
    }


class _ConfigurationOps:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def plan(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            plan = await asyncio.to_thread(self._node.applier.plan, _folder(args))
        except ConfigError as error:
            return _refused(error)
        return {"ok": True, "errors": [], "lines": plan.lines(), **plan.as_json()}

    async def apply(self, args: dict[str, Any]) -> dict[str, Any]:
        window = args.get("confirm_within_s")
        if window is not None and (not isinstance(window, int | float) or isinstance(window, bool) or window <= 0):
            raise OpError("confirm_within_s is a positive number of seconds", code=400)
        try:
            return await self._node.applier.apply(_folder(args), confirm_within_s=window, who="local")
        except ConfigError as error:
            return _refused(error)

    async def confirm(self, _args: dict[str, Any]) -> dict[str, Any]:
        return await self._node.applier.confirm("local")

    async def rollback(self, args: dict[str, Any]) -> dict[str, Any]:
        return await self._node.applier.rollback("local", number(args, "to"))

    async def generations(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"generations": self._node.generations_view()}


def _refused(error: ConfigError) -> dict[str, Any]:
    """A refused configuration as the answer of check, plan and apply."""
    return {"ok": False, "errors": [_problem(problem) for problem in error.problems]}


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def _folder(args: dict[str, Any]) -> Path:
    folder = args.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        raise OpError("folder is the absolute path of a configuration folder", code=400)
    return Path(folder)
