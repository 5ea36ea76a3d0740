"""The scene of the main job, and releases that all tests here share: making what they need takes longest."""

import pytest

from tests.support.releases import Releases
from tests.support.scene import make_scene

__all__ = ["make_scene"]


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Each version is made once: a test takes numbers that no other has."""
    return Releases(tmp_path_factory.mktemp("releases"))
