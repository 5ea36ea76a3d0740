"""Codec `flat`: one retained JSON value per tag, for dashboards (protocol.md 4.4). No numbers, no proof."""

from __future__ import annotations

from gateway.uplink.codecs.base import QUALITY_TEXT, Encoded, finite, pack_json, safe_integers
from gateway.uplink.ports import Latest

DEFAULT_TOPIC = "{gateway}/{device}/{tag}"
MAX_TOPIC = 256
MAX_SLASHES = 7
_FORBIDDEN = ("$", "+", "#", "/")


class FlatCodec:
    """`template` may name {tenant}, {gateway}, {channel}, {device} and {tag}. Raises ValueError for a bad one."""

    name = "flat"
    needs_birth = False

    def __init__(self, tenant: str, gateway: str, template: str | None = None) -> None:
        self._template = template or DEFAULT_TOPIC
        check_template(self._template)
        self._fixed = {"tenant": tenant, "gateway": gateway}

    def topic(self, latest: Latest) -> str:
        """The topic of one tag. Raises ValueError when it is over the limits of protocol.md 1.2."""
        topic = self._template.format(**self._fixed, channel=latest.channel, device=latest.device, tag=latest.tag)
        if len(topic.encode()) > MAX_TOPIC or topic.count("/") > MAX_SLASHES:
            raise ValueError(f"topic {topic} is over {MAX_TOPIC} bytes or {MAX_SLASHES} slashes")
        return topic

    @staticmethod
    def value(latest: Latest) -> Encoded:
        values, quality = finite([latest.value], {0: latest.quality})
        return pack_json({"v": safe_integers(values)[0], "q": QUALITY_TEXT[quality[0]], "t": latest.ts})


def check_template(template: str) -> None:
    """Raises ValueError for a template that would mix tags or take topics that are not ours."""
    if "{device}" not in template or "{tag}" not in template:
        raise ValueError("the topic must contain {device} and {tag}")
    if template.startswith(_FORBIDDEN) or template.startswith("fp/") or set("+#") & set(template):
        raise ValueError("the topic must not start with $, + , # or / nor lie below fp/")
    try:
        template.format(tenant="", gateway="", channel="", device="", tag="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"the topic has an unknown placeholder: {error}") from error
