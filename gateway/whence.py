"""An error of somebody else's code in words that its author can begin with: what it is, and the line that raised it."""

from __future__ import annotations

import traceback
from pathlib import Path


def whence(error: BaseException, folder: str = "") -> str:
    """`AttributeError: no x (driver.py:41 in check)`. The line is the innermost one in a file below `folder` (a path,
    or the beginning of one), else the innermost of all.
    """
    text = f"{type(error).__name__}: {error}"
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [each for each in frames if folder and each[0].f_code.co_filename.startswith(folder)] or frames
    if not own:
        return text
    frame, line = own[-1]
    return f"{text} ({Path(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name})"


__all__ = ["whence"]
