"""What goes wrong on the operator's side. `code` is a result code of protocol.md 1.3."""

from __future__ import annotations

from gateway.errors import GatewayError


class FleetError(GatewayError):
    """Something of the fleet was not done; the text says what, and what to do."""

    def __init__(self, text: str, *, code: int = 500) -> None:
        super().__init__(text)
        self.code = code


class BrokerAway(FleetError):
    """No connection to the broker, or it was lost: what was under way is not known to be done."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code=503)


class BrokerRefuses(FleetError):
    """The broker does not allow it to this user."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code=403)


class Conflict(FleetError):
    """Another writer was there: `if_ver` does not hold, or somebody writes over us all the time."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code=409)


class NoAnswer(FleetError):
    """Nothing came in time. `rid` names the command: asking again with it has no second effect."""

    def __init__(self, text: str, *, rid: str = "") -> None:
        super().__init__(text, code=504)
        self.rid = rid
