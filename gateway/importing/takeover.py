"""Foreign files to a Draft: sort them by kind, hand each kind to its importer, tell what nobody knows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from gateway.importing.draft import MOST_TAGS, Draft, Known, Options
from gateway.importing.importers import ORDER, OURS, kind_of_table, kind_of_view, load
from gateway.importing.report import Report, TooMuch
from gateway.importing.sources import Source
from gateway.importing.views import View
from gateway.settings.yaml_reader import uncollected

_HINT = (
    "known: EdgeX and KubeEdge YAML, Kepware and Neuron lists, ThingsBoard Gateway JSON, Telegraf TOML, SunSpec models"
)


@uncollected()
def take_over(
    files: Mapping[str, bytes], report: Report, options: Options | None = None, known: Known | None = None
) -> Draft:
    """The draft of these files (name -> content), of any kinds, in any order. Faults and notes go to `report`."""
    draft = Draft(report, options or Options(), known or Known())
    with contextlib.suppress(TooMuch):
        sources: dict[str, list[Source]] = {}
        views: dict[str, list[View]] = {}
        for name in sorted(files):
            _sort(Source(name, files[name], report), sources, views)
        draw(sources, views, draft)
    return draft


def draw(sources: Mapping[str, Sequence[Source]], views: Mapping[str, Sequence[View]], draft: Draft) -> None:
    """Let each importer draw what is its own; `sources` and `views` by kind."""
    for kind in ORDER:
        mine, documents = sources.get(kind, ()), views.get(kind, ())
        if mine or documents:
            load(kind).convert(mine, documents, draft)
            for view in documents:
                view.tell_unread()
    for channel, data in draft.channels.items():
        tags = sum(len(each.get("tags") or ()) for each in (data.get("devices") or {}).values())
        if tags > MOST_TAGS:
            draft.report.error(
                draft.place_of(("channels", channel)), f"a channel may have {MOST_TAGS} tags", "split it"
            )


def _sort(source: Source, sources: dict[str, list[Source]], views: dict[str, list[View]]) -> None:
    """Tell whose file it is. A file of several documents may belong to several."""
    kind = "neuron" if source.is_zip else kind_of_table(source) if source.is_table else ""
    if not kind and not source.is_json and source.is_toml:
        kind = "telegraf"
    if kind == OURS:
        source.report.error(source.place, "a list of Fieldpost's own is imported alone", "fieldpost import LIST.csv")
        return
    if kind:
        sources.setdefault(kind, []).append(source)
        return
    before = len(source.report.problems)
    for view in source.views:
        found = kind_of_view(view)
        if found:
            views.setdefault(found, []).append(view)
        else:
            source.report.error(view.place, _unknown(view), _HINT)
    if not source.views and len(source.report.problems) == before:
        source.report.error(source.place, "the file is empty", _HINT)


def _unknown(view: View) -> str:
    """What is said of a document that nobody knows."""
    if "properties" in view.keys() or "deviceResource" in view.keys():  # noqa: SIM118 - a View is no mapping
        return "a device profile of EdgeX v1 has another schema: convert it to v2 or v3 first"
    return "this is no file that can be imported" if view.is_map else "a mapping (key: value) is wanted here"
