"""OPC UA as other gateways write it: node ids, security policies."""

from __future__ import annotations

import re

POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
GUESSED = "the file does not say what the node holds: float64 is taken; texts are `string`, whole numbers `int64`"
_NODE = re.compile(r"(?:ns=[0-9]{1,5};|nsu=[^;]+;)?(?:i=[0-9]{1,10}|[sgb]=.+)", re.DOTALL)


def is_node_id(text: str) -> bool:
    """Whether it is a node id as OPC UA writes it: `ns=2;s=Line.Speed`, `nsu=http://plant;i=7`."""
    return _NODE.fullmatch(text) is not None


__all__ = ["GUESSED", "POLICIES", "is_node_id"]
