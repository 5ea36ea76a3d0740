"""Tags that one request must bring together: `coherent` sets, and values with the tag that holds their scale factor."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model import Device, Tag, TagSpec


def with_factors(device: Device, tags: Sequence[Tag]) -> Sequence[Tag]:
    """`tags` and the scale factors they need that are not among them."""
    if not any(tag.spec.scale_from is not None for tag in tags):
        return tags
    found = {tag.path: tag for tag in tags}
    for tag in tags:
        name = tag.spec.scale_from
        if name is not None and name not in found and (factor := device.tag(name)) is not None:
            found[name] = factor
    return list(found.values())


def units_of(specs: Sequence[TagSpec]) -> dict[str, str]:
    """Tag path to the name of the set it is read with; tags that stand alone are left out.

    Sets that share a tag are one set: two values with the same factor and a coherent set around one of them.
    """
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for spec in specs:
        if spec.coherent:
            leader[find(f"tag:{spec.path}")] = find(f"set:{spec.coherent}")
        if spec.scale_from is not None:
            leader[find(f"tag:{spec.path}")] = find(f"tag:{spec.scale_from}")
    return {spec.path: find(name) for spec in specs if (name := f"tag:{spec.path}") in leader}
