"""Which ops of jobs this gateway does, and what does each. Imported with the first job; so is what a work needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gateway.jobs.work import Work

if TYPE_CHECKING:
    from gateway.runtime.node import Node

Maker = Callable[["Node"], Work]
"""Makes the work of one op over the running node, once, when its first job comes."""


def _restart(node: Node) -> Work:
    from gateway.runtime.restartjob import RestartWork

    return RestartWork(node)


def _config(node: Node) -> Work:
    from gateway.runtime.configjob import ConfigWork

    return ConfigWork(node, node.uplinks.parts)


def _ota(node: Node) -> Work:
    from gateway.runtime.otajob import OtaWork

    return OtaWork(node, node.uplinks.parts)


MAKERS: Mapping[str, Maker] = {"config": _config, "restart": _restart, "ota": _ota, "driver": _ota}


class JobWorks:
    """The works of one node, made when they are asked for."""

    def __init__(self, node: Node, makers: Mapping[str, Maker] = MAKERS) -> None:
        self._node = node
        self._makers = makers
        self._made: dict[str, Work] = {}

    def knows(self, op: str) -> bool:
        return op in self._makers

    def get(self, op: str) -> Work | None:
        """Whoever does the jobs of an op; None for an op that this gateway does not know."""
        maker = self._makers.get(op)
        if maker is None:
            return None
        if op not in self._made:
            self._made[op] = maker(self._node)
        return self._made[op]
