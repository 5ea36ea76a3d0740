"""Names: ids of gateway, tenant, channel, device and uplink, tag paths, and the nearest name to a misspelt one."""

from __future__ import annotations

import re
from collections.abc import Iterable

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
MAX_LEVELS = 5
ID_RULE = "letters, digits, `_` and `-`, at most 64, beginning with a letter or digit"


def is_id(text: str) -> bool:
    return ID.match(text) is not None


def suggest_id(text: str) -> str:
    """The nearest valid id, for a hint; empty when nothing of `text` can be kept."""
    from gateway.settings.letters import plain_letters  # only for those who need a hint

    cleaned = plain_letters(text, squeeze=True).lstrip("_-").rstrip("_")[:64]
    return f"for example `{cleaned}`" if cleaned else ""


def tag_path_fault(path: str) -> str:
    """What is wrong with a tag path, or an empty text. A path is up to five ids joined by `/`."""
    parts = path.split("/")
    if len(parts) > MAX_LEVELS:
        return f"a tag path has at most {MAX_LEVELS} levels, `{path}` has {len(parts)}"
    if not all(is_id(part) for part in parts):
        return f"`{path}` is not a tag path: ids joined by `/`, each {ID_RULE}"
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean ...` for a near miss, else the known words."""
    import difflib  # only for those who misspell: a start without it is quicker

    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if not near:
        folded = {known_word.lower(): known_word for known_word in words}
        near = [folded[word.lower()]] if word.lower() in folded else []
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(words)}" if words else ""
