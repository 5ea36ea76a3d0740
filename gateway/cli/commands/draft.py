"""scan --draft: a device and a profile made of what a scan found, to be reviewed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.cli.commands.add import counts_from_one, put_device
from gateway.cli.editing import Changes, finish
from gateway.cli.session import CommandFailed, Exit, Session
from gateway.settings.ids import is_id
from gateway.settings.positions import Problems
from gateway.settings.yaml_reader import read_documents

_HEAD = """\
# Draft made by a scan: types and word orders are guesses. Rename what you recognise, give units, remove the rest.
"""


def check_name(session: Session, name: str) -> None:
    """Refuse a name before the scan that would be made for it. Raises CommandFailed, ConfigError."""
    if not is_id(name):
        raise CommandFailed(f"{name!r} is not an id for a device", Exit.USAGE)
    changes = Changes(session.config_dir)
    if any(device.id == name for channel in changes.settings().channels for device in channel.devices):
        raise CommandFailed(f"there is a device {name} already: take another name for the draft", Exit.USAGE)
    for file, text in changes.after.items():
        documents = read_documents(file, text, Problems()) if file.startswith("profiles/") else ()
        if any(isinstance(each.data, dict) and name in each.data for each in documents):
            raise CommandFailed(f"{file} has a profile {name} already: take another name for the draft", Exit.USAGE)


def write_draft(session: Session, where: dict[str, Any], name: str, findings: Sequence[Mapping[str, Any]]) -> None:
    """Show or write a profile of all guessed registers, and a device that uses it. `name` was checked."""
    units = [finding["unit"] for finding in findings if "answers" in finding]
    if len(units) != 1:
        raise CommandFailed(f"a draft is made of one unit, {len(units)} answer: say --units N", Exit.USAGE)
    changes = Changes(session.config_dir)
    tags = _tags(findings, based=counts_from_one(changes, session.args.protocol, where))
    if not tags:
        raise CommandFailed("nothing can be read there: no draft")
    changes.add(
        f"profiles/{name}.yaml", f"{_HEAD}{name}:\n  tags:\n" + "\n".join(f"    {line}" for line in tags) + "\n"
    )
    session.args.unit = units[0]
    put_device(session, changes, where, name, name)
    finish(session, changes, {"findings": list(findings)})


def _tags(findings: Sequence[Mapping[str, Any]], *, based: bool) -> list[str]:
    """A line for each guess. `based`: the channel counts from 1, a scan counts as the wire does."""
    base = ", address_base: 0" if based else ""
    lines = []
    for finding in findings:
        table = str(finding.get("table", ""))
        for row in finding.get("guess", []):
            keys = [f"address: {table}/{row['offset']}", f"type: {row['type']}"]
            keys += [f"{key}: {row[key]}" for key in ("word_order", "length") if row.get(key)]
            lines.append(f"{table[0]}{row['offset']}: {{{', '.join(keys)}{base}}}   # {row['value']}")
        if "bits" in finding:
            lines += [
                f"{table[0]}{place}: {{address: {table}/{place}, type: bool{base}}}   # {bit}"
                for place, bit in enumerate(finding["bits"], finding["first"])
            ]
    return lines
