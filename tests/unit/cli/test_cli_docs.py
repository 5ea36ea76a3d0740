"""The reference and the grammar agree, both ways."""

import re
import shlex
from pathlib import Path

from gateway.cli.parser import build
from gateway.local.handlers import handlers

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
GUIDES = (
    DOCS / "tutorial" / "first-gateway.md",
    DOCS / "how-to" / "fleet.md",
    DOCS / "how-to" / "fleet-updates.md",
    DOCS / "how-to" / "alarms.md",
    DOCS / "how-to" / "discovery.md",
    DOCS / "how-to" / "opcua.md",
    DOCS / "how-to" / "serve-the-plant.md",
    DOCS / "how-to" / "rules-cookbook.md",
    DOCS / "how-to" / "write-a-driver.md",
    DOCS / "explanation" / "rules.md",
)
"""Pages whose command lines and links are checked, besides the reference."""


def _commands():
    return next(action for action in build()._actions if action.choices and action.dest == "==SUPPRESS==").choices


def _actions(command):
    """Actions below a command (`fleet ls`), by name."""
    below = [action for action in command._actions if action.nargs == "A..."]
    return dict(below[0].choices) if below else {}


def _grammars():
    """The program itself, every command, and every action below one, by the words that call it."""
    yield "", build()
    for name, command in _commands().items():
        yield name, command
        for action, grammar in _actions(command).items():
            yield f"{name} {action}", grammar


def test_every_command_is_in_the_reference():
    for name, _ in _grammars():
        assert re.search(rf"\*\*`fieldpost {name}\b" if name else "`fieldpost ", TEXT), name


def test_every_option_of_every_command_is_in_the_reference():
    for name, command in _grammars():
        for action in command._actions:
            for option in action.option_strings:
                assert re.search(rf"`{option}\b", TEXT), f"{name} {option}"


def test_the_reference_names_no_command_and_no_option_that_is_not_there():
    commands = _commands()
    known = {option for _, command in _grammars() for action in command._actions for option in action.option_strings}
    for page in (TEXT, *(path.read_text(encoding="utf-8") for path in GUIDES)):
        for name in re.findall(r"fieldpost ([a-z]+)\b(?=[^\n]*)", re.sub(r"fieldpost (COMMAND|\[)", "", page)):
            assert name in commands or name in {"forget"}, name
        for command in ("fleet", "alarms", "rules", "driver"):
            for name in re.findall(rf"fieldpost {command} ([a-z]+(?:-[a-z]+)*)\b", page):
                assert name in _actions(commands[command]), name
        for line in page.splitlines():
            if "fieldpost " in line or line.startswith("| `--"):
                for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line):
                    assert option in known, f"{option} in: {line}"


def test_every_command_line_of_readme_and_tutorial_parses():
    from gateway.cli.parser import parse

    root = DOCS.parent
    seen = 0
    for page in (root / "README.md", *GUIDES, root / "systemd" / "README.md"):
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"(?m)^\$ (?:sudo )?fieldpost ([^#\n]*)", text):
            parse(shlex.split(line))
            seen += 1
    assert seen >= 25


def test_every_link_between_our_pages_leads_somewhere():
    root = DOCS.parent
    for page in (root / "README.md", root / "CONTRIBUTING.md", *GUIDES, DOCS / "reference" / "cli.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{target} in {page.name}"


def test_the_reference_names_every_op_of_the_local_socket_with_its_scope():
    told: dict[str, str] = {}
    for cells in re.findall(r"(?m)^\| (`[^|]*) \| [^|]* \| (read|operate|admin|that of the op) \|$", TEXT):
        told |= dict.fromkeys(re.findall(r"`([a-z_]+)`", cells[0]), cells[1])
    assert told == {
        name: "that of the op" if handler.scope_of else handler.scope for name, handler in handlers(None).items()
    }
