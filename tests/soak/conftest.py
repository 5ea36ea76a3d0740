"""The scene of the main job."""

from tests.support.scene import make_scene

__all__ = ["make_scene"]
