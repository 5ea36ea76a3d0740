"""Devices of protocols that have no driver here: kept whole as a channel that is not started."""

from __future__ import annotations

from gateway.importing.kubeedge.bindings import Binding, Bound, Connection, Context, id_from
from gateway.importing.kubeedge.kept import keep_rest
from gateway.importing.kubeedge.model import Property, kind_of
from gateway.importing.views import View


def _connect(context: Context) -> Connection:
    place = context.config.place if context.config is not None else context.view.place
    word = context.protocol or "no protocol"
    text = f"there is no driver for {word}: device `{context.name}` is kept in a channel that is not started"
    context.draft.report.warning(place, text)
    keep_rest(context.config, (), context.meta)
    keep_rest(context.common, (), context.meta)
    data = {"driver": "virtual", "enabled": False}
    return Connection(id_from("stub", context.protocol or "kubeedge"), data, scheduled=False)


def _bind(prop: Property, config: View | None, place: View, _context: Context) -> Bound | None:  # noqa: ARG001 - as all protocols
    meta: dict[str, str] = {}
    given = config.get("dataType") if config is not None and not prop.kind else None
    kind = kind_of(given) if given is not None else None
    keep_rest(config, (), meta)
    made = Property(prop.name, prop.path, prop.place, kind=kind or prop.kind or "string")
    return Bound({"type": made.type}, meta=meta)


BINDING = Binding(_connect, _bind)
