"""Wheels looked over where they are published: what no gateway would unpack is told there, not at each of them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from installer.exceptions import InstallerError
from installer.sources import WheelFile

from gateway.ota.members import MOST_UNPACKED, check_members, check_scripts
from gateway.ota.package import FOLDER
from gateway.ota.parts import ZIP_ERRORS
from gateway.ota.release import ReleaseRefused


def check_wheels(wheels: Mapping[str, Path]) -> None:
    """`wheels`: place in the repository -> file; those of vendors are bounded further. Raises ReleaseRefused with the
    first that could not be installed.
    """
    room = MOST_UNPACKED
    for place, path in wheels.items():
        called = place.rpartition("/")[2]
        try:
            with zipfile.ZipFile(path) as archive:
                archive.filename = called  # the file may have another name
                room -= check_members(archive, room, vendor=place.startswith(FOLDER))
                check_scripts(WheelFile(archive), archive)
        except OSError as error:
            raise ReleaseRefused("wheel", f"{called}: {error.strerror or error}") from None
        except (InstallerError, KeyError, *ZIP_ERRORS) as error:
            raise ReleaseRefused("wheel", f"{called} cannot be installed: {error}") from None
