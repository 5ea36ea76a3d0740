"""The op `devices`: states and statistics, and what can be called at a device."""

from __future__ import annotations

from typing import Any

from gateway.local.arguments import text
from gateway.local.wire import OpError
from gateway.runtime.node import Node


class DeviceList:
    """The op over one running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def devices(self, args: dict[str, Any]) -> dict[str, Any]:
        """All devices; or the one that `device` names, with its commands and methods."""
        name = text(args, "device")
        if name is None:
            return {"devices": self._rows()}
        return {"devices": [row for row in self._rows() if row["device"] == name], **self._callable(name)}

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for channel, runner in self._node.channels.runners():
            states, stats = runner.states(), runner.stats()
            rows += [
                {"device": device, "channel": channel, "state": state, **_statistics(stats, device)}
                for device, state in states.items()
            ]
        for spec in self._node.channels.specs():
            if self._node.channels.runner(spec.id) is None:
                state = "disabled" if not spec.enabled else "failed"
                rows += [{"device": device.id, "channel": spec.id, "state": state} for device in spec.devices]
        return rows

    def _callable(self, name: str) -> dict[str, Any]:
        from gateway.runtime.namedcommands import described  # loaded when the first device is named

        device = self._node.tags.device(name)
        if device is None:
            raise OpError(f"there is no device {name}", code=404)
        runner = self._node.channels.runner(device.channel)
        methods = [] if runner is None else [dict(each) for each in runner.methods(name)]
        return {"commands": described(device), "methods": methods}


def _statistics(stats: dict[str, Any], device: str) -> dict[str, Any]:
    found = stats.get("devices", {}).get(device, {})
    return dict(found) if isinstance(found, dict) else {}
