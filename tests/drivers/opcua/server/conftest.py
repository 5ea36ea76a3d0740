"""A server's certificate made once: an RSA key takes longer than a test."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from drivers.opcua.pki import Pki

URI = "urn:fieldpost:plant-7:hmi"


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    Pki(folder / "server").own(URI, [socket.gethostname(), "127.0.0.1"])
    Pki(folder / "client").own("urn:test:client", ["localhost"])
    return folder


@pytest.fixture(autouse=True)
def keys(made_once: Path, tmp_path: Path) -> None:
    """Certificates of the server under test and of a client."""
    shutil.copytree(made_once / "server", tmp_path / "servers/hmi/pki")
    shutil.copytree(made_once / "client", tmp_path / "client")
