"""A gateway with one scripted device, opened and running."""

import pytest

from tests.support.shadowed import ShadowGateway
from tests.unit.shadows.plant import plant


@pytest.fixture
async def gateway(tmp_path):
    made = ShadowGateway(tmp_path / "state", {"dev": plant()})
    made.open()
    made.start()
    made.poll("dev")
    yield made
    await made.close()
