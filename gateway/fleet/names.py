"""Names as people write them: ids, and paths as tags (`setpoints/temp`) and as in shadows (`setpoints.temp`)."""

from __future__ import annotations

from gateway.fleet.faults import FleetError
from gateway.settings.ids import ID_RULE, MAX_LEVELS, is_id


def checked_id(what: str, text: str) -> str:
    """`text`, if it is an id. Raises FleetError 400."""
    if not is_id(text):
        raise FleetError(f"{text!r} is not the id of a {what}: {ID_RULE}", code=400)
    return text


def shadow_path(text: str) -> str:
    """The path in a shadow document, of either spelling. Raises FleetError 400."""
    path = text.replace("/", ".")
    if (fault := path_fault(path)) is not None:
        raise FleetError(f"{text!r} is not a tag: {fault}", code=400)
    return path


def path_fault(path: str) -> str | None:
    """What is wrong with a shadow path."""
    parts = path.split(".")
    if len(parts) > MAX_LEVELS:
        return f"it has {len(parts)} levels, at most {MAX_LEVELS} are allowed"
    if not all(map(is_id, parts)):
        return f"it is ids joined by / or ., each {ID_RULE}"
    return None


def tag_of(path: str) -> str:
    """The tag of a shadow path."""
    return path.replace(".", "/")
