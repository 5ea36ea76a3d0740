"""Every issue that the gateway can raise is in the reference, and the reference names no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/reference/issues.md"
SETTERS = {"set", "_set", "issue", "_raise", "Threshold"}
KEEP_CONSTANTS = {"context.py", "devices.py", "failing.py", "limiting.py", "mailbox.py", "supervisor.py", "watchdog.py"}
KINDS = (
    "action|answers|bus|certificate|clock|config|cpu|cursor|device|disk|driver|generations|loop|memory|notify|rule|server|store"
    "|tag|unit|uplink|values"
)
ID = re.compile(rf"({KINDS})_[a-z_]+")


def sources():
    return [file for part in ("gateway", "drivers") for file in (ROOT / part).rglob("*.py")]


def raised():
    """First arguments of calls that raise an issue, and ids that a module keeps as constants, pairs or thresholds."""
    found = set()
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in SETTERS:
                firsts = node.args[:1]
            elif isinstance(node, ast.Tuple) and "telling" in file.name:
                firsts = node.elts[:1]
            elif isinstance(node, ast.Assign):
                firsts = [node.value] if file.name in KEEP_CONSTANTS else []
            else:
                continue
            found |= {
                each.value
                for each in firsts
                if isinstance(each, ast.Constant) and isinstance(each.value, str) and ID.fullmatch(each.value)
            }
    return found


def test_every_issue_is_documented_and_nothing_else_is():
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(documented) > 20
    assert raised() - documented == set(), "not in docs/reference/issues.md"
    text = "".join(file.read_text(encoding="utf-8") for file in sources())
    assert {name for name in documented if f'"{name}"' not in text} == set(), "documented, but never raised"
