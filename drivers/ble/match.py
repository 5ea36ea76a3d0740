"""Which adverts belong to a device that is known by what it sends."""

from __future__ import annotations

from msgspec import Struct

from drivers.ble.address import AddressError, hex_of
from drivers.ble.advert import Advert
from drivers.ble.settings import Match
from drivers.ble.uuids import company_of, uuid_of


class Matcher(Struct, frozen=True):
    """A Match with its texts read."""

    company: int | None
    service: str
    data: bytes
    name: str

    def __call__(self, advert: Advert) -> bool:
        if self.name and not advert.name.startswith(self.name):
            return False
        if self.company is not None:
            data = advert.manufacturer.get(self.company)
            if data is None or not data.startswith(self.data):
                return False
        if self.service:
            found = advert.service.get(self.service)
            if found is None:
                return self.service in advert.uuids and not (self.data and self.company is None)
            return self.company is not None or found.startswith(self.data)
        return True


def matcher_of(match: Match) -> Matcher:
    """Raises AddressError for what cannot be."""
    try:
        company = None if match.company is None else company_of(match.company)
        service = "" if match.service is None else uuid_of(match.service)
    except ValueError as error:
        raise AddressError(str(error)) from None
    data = hex_of(match.data)
    if company is None and not service and not match.name:
        raise AddressError("a match needs company, service or name", "match: {company: 0x004c, data: 0215}")
    if data and company is None and not service:
        raise AddressError("`data` is that of a company or service", "match: {company: 0x004c, data: 0215}")
    return Matcher(company, service, data, match.name)
