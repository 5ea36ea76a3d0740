"""Who publishes releases and configurations, as each test file wants them."""

import datetime as dt

import pytest

from tests.support.configurer import configurer, server, site
from tests.unit.ota.publisher import Publisher

__all__ = ["configurer", "publisher", "server", "site"]


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    made = Publisher(tmp_path_factory.mktemp("publisher"))
    made.now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    made.repository.refresh(made.signers)
    return made
