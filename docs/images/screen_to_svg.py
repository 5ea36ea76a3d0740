# ruff: noqa: INP001 - a script beside its picture, not a package
"""A captured terminal screen to SVG: `python docs/images/screen_to_svg.py < screen.ansi > demo.svg`.

Capture with tmux:  tmux new-session -d -s demo -x 104 -y 30 '.venv/bin/fieldpost demo'
                    tmux capture-pane -e -p -t demo > screen.ansi
Understands the styles that `gateway/cli/output.py` uses; anything else is taken out.
"""

from __future__ import annotations

import re
import sys
from xml.sax.saxutils import escape

CELL, LINE, MARGIN = 8.4, 18, 14
BACKGROUND, PLAIN = "#16181d", "#d6dae2"
STYLES = {
    "1": 'font-weight="bold" fill="#ffffff"',
    "2": 'fill="#7f8796"',
    "31": 'fill="#f2726f"',
    "32": 'fill="#7fd18b"',
    "33": 'fill="#e5c07b"',
}
_STYLE = re.compile(r"\x1b\[([0-9;]*)m")
_OTHER = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b[()][A-Z0-9]|\x0f")


def runs(line: str, style: str = "") -> tuple[list[tuple[int, str, str]], str]:
    """(column, style, text) of each stretch of one style, and the style at the end: tmux carries it over lines."""
    parts = _STYLE.split(_OTHER.sub("", line))
    found, column = [], 0
    for number, part in enumerate(parts):
        if number % 2:
            style = next((STYLES[code] for code in part.split(";") if code in STYLES), "")
        elif part:
            found.append((column, style, part))
            column += len(part)
    return found, style


def svg(screen: str) -> str:
    """The whole picture. Each run has its own x, so that any monospaced font lines up."""
    text, style = [], ""
    for line in screen.rstrip("\n").split("\n"):
        found, style = runs(line.rstrip(), style)
        text.append(found)
    columns = max(sum(len(part) for _, _, part in found) for found in text)
    width, height = round(columns * CELL + 2 * MARGIN), len(text) * LINE + 2 * MARGIN
    rows = [
        f'<text x="{MARGIN + column * CELL:.1f}" y="{MARGIN + (number + 0.75) * LINE:.1f}" {style}'
        f' textLength="{len(part) * CELL:.1f}">{escape(part)}</text>'
        for number, found in enumerate(text)
        for column, style, part in found
        if part.strip()
    ]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
            f'<g font-family="ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14" fill="{PLAIN}"',
            '   xml:space="preserve">',
            *rows,
            "</g>",
            "</svg>",
            "",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(svg(sys.stdin.read()))
