"""What a driver package is: the signed description of a driver's wheels, made by its vendor.

It is a TUF target `drivers/VENDOR/NAME-VERSION.json` of the role `drivers-VENDOR`, which may sign what is below
`drivers/VENDOR/` and nothing else. As with a release, nothing in it is believed before TUF has verified it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.ota.release import Compatible, Name, Natural, ReleaseRefused, Wheel, check_once, read_signed

MOST_VENDORS = 32
"""A client of TUF looks into 32 delegated roles at most."""
MOST_PACKAGE_WHEELS = 100
FOLDER = "drivers/"
_VENDOR = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
Vendor = Annotated[str, Meta(pattern=rf"^{_VENDOR}\Z")]
PackageVersion = Annotated[str, Meta(pattern=r"^[0-9][A-Za-z0-9.+]{0,58}\Z")]


class Package(Struct, frozen=True, forbid_unknown_fields=True):
    """A driver with the libraries that it brings along.

    `requires_api`: the contract of drivers that it was written for. `compatible.min_from`: the oldest gateway that it
    runs in. One wheel has the package's name and version, and an entry point of a driver.
    """

    vendor: Vendor
    name: Name
    version: PackageVersion
    requires_api: Natural
    wheels: Annotated[tuple[Wheel, ...], Meta(min_length=1, max_length=MOST_PACKAGE_WHEELS)]
    schema: Literal[1] = 1
    kind: Literal["driver"] = "driver"
    created: Annotated[str, Meta(max_length=40)] = ""
    compatible: Compatible = Compatible()
    installed_size: Annotated[int, Meta(ge=0, le=2**40)] = 0
    notes_url: Annotated[str, Meta(max_length=2000)] = ""

    @property
    def target(self) -> str:
        """Its place in the repository."""
        return f"{FOLDER}{self.vendor}/{self.name}-{self.version}.json"

    @property
    def files(self) -> tuple[Wheel, ...]:
        """All wheels."""
        return self.wheels

    @property
    def title(self) -> str:
        """What people and the configuration call it: VENDOR/NAME."""
        return f"{self.vendor}/{self.name}"


def role_of(vendor: str) -> str:
    """The TUF role of a vendor. Raises ReleaseRefused for a name that no vendor may have."""
    if re.fullmatch(_VENDOR, vendor) is None:
        raise ReleaseRefused("vendor", f"`{vendor[:40]}` is no name of a vendor: a-z, 0-9, `-`, 32 at most")
    return f"drivers-{vendor}"


def vendor_of(target: str) -> str:
    """The vendor below whose folder a target lies; empty for one that is no driver's."""
    parts = target.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "drivers" else ""  # noqa: PLR2004


def parse_package(raw: bytes) -> Package:
    """A description as it was signed. Raises ReleaseRefused with the field that is wrong."""
    package = read_signed(raw, Package, "a driver package")
    check_once(package.wheels)
    for wheel in package.wheels:
        if vendor_of(wheel.file) != package.vendor:
            raise ReleaseRefused("description", f"{wheel.file} is not below {FOLDER}{package.vendor}/")
    if not any((wheel.name, wheel.version) == (package.name, package.version) for wheel in package.wheels):
        raise ReleaseRefused("description", f"there is no wheel of {package.name} {package.version} in it")
    return package
