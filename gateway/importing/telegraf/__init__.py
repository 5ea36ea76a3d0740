"""Telegraf configurations (TOML): the inputs that read devices, `modbus`, `opcua` and `opcua_listener`.

Keys and meanings as in the README files and samples of these plug-ins. Everything else of a configuration (agent,
outputs, processors) has no meaning here and is told.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.importing.draft import Draft
from gateway.importing.sources import Source
from gateway.importing.telegraf import modbus, opcua
from gateway.importing.tomlfiles import read_toml
from gateway.importing.views import View

_INPUTS = {"modbus": modbus.draw, "opcua": opcua.draw, "opcua_listener": opcua.draw}


def convert(sources: Sequence[Source], views: Sequence[View], draft: Draft) -> None:
    """A channel for each address that an input talks to."""
    del views
    for source in sources:
        view = read_toml(source)
        if view is not None:
            _draw(view, draft)
            view.tell_unread()


def _draw(view: View, draft: Draft) -> None:
    agent, inputs = view.get("agent"), view.get("inputs")
    interval = agent.get("interval") if agent is not None else None
    found = False
    for name, draw in _INPUTS.items():
        plugins = inputs.get(name) if inputs is not None else None
        if plugins is None:
            continue
        found = True
        for plugin in plugins.as_list() or []:
            if plugin.as_map() is not None:
                draw(plugin, interval, draft)
    if not found:
        draft.report.error(view.place, "there is no [[inputs.modbus]] and no [[inputs.opcua]] in it")


__all__ = ["convert"]
