"""Words that later releases give a meaning to. Refusing them now keeps a file from changing its meaning silently."""

from __future__ import annotations

GATEWAY = {
    "console": "the web console",
    "http": "the local HTTP interface",
    "fleet": "fleet operations",
    "metrics": "the metrics endpoint",
    "audit": "the audit log",
    "logs": "the log stream",
}
UPLINK = {"shape": "message shapes for foreign engines", "shadow": "shadow sync"}
CODECS = {"sparkplug_b": "Sparkplug B", "thingsboard": "the ThingsBoard codec"}
CHANNEL = {
    "trace": "frame traces",
}
DEVICE = {
    "maintenance": "maintenance mode",
    "shadow": "shadow authority",
}
PROFILE = {"shadow": "shadow authority"}
TAG = {
    "authority": "shadow authority",
    "address_base": "addresses that count from 1",
    "bit_base": "bits that count from 1",
}


def later(word: str, meaning: str) -> str:
    """The refusal of a reserved word."""
    return f"`{word}` comes with a later release: {meaning}"
