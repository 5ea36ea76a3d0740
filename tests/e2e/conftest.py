"""The scene of the main job, and the one with rules."""

from tests.support.ruled import ruled
from tests.support.scene import make_scene

__all__ = ["make_scene", "ruled"]
