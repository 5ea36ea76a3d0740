"""Messages as people read them."""

from __future__ import annotations

from drivers.mqtt.formats import guess
from gateway.driver import Frame

MOST = 2000


def frame_of(ts: int, topic: str, payload: bytes, note: str, *, sending: bool) -> Frame:
    """A message as a frame: the topic is the first word of its text."""
    shown = payload[:MOST]
    more = f" and {len(payload) - MOST} bytes more" if len(payload) > MOST else ""
    form = guess(payload)
    content = (
        shown.decode(errors="replace") if form in {"json", "plain"} else f"{len(payload)} bytes, looks like {form}"
    )
    return Frame(ts, sending, shown, f"{topic} ({note}) {content}{more}")
