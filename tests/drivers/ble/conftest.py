"""Real bleak against a BlueZ on a private bus."""

from __future__ import annotations

import pytest


@pytest.fixture
def radio(bluetooth, monkeypatch):
    """The bus and its BlueZ, for drivers in this process."""
    for name, value in bluetooth.env.items():
        monkeypatch.setenv(name, value)
    return bluetooth
