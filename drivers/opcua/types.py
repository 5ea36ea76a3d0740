"""Structures and enumerations that the server defines by itself."""

from __future__ import annotations

import asyncio
import logging

from drivers.opcua.session import Session
from gateway.errors import LinkLost

_log = logging.getLogger("fieldpost.driver")
_LONGEST_S = 60.0


async def load_types(session: Session) -> None:
    """Have asyncua read what the server's own types look like. What cannot be read is shown as raw bytes.

    asyncua keeps the types of all servers of a process in one table: two servers that use one node id for two
    different structures cannot both be read by one gateway.
    """
    try:
        async with asyncio.timeout(_LONGEST_S):
            await session.client.load_data_type_definitions()
    except (OSError, TimeoutError) as error:
        raise LinkLost(f"the server's types could not be read: {error or 'no answer in time'}") from error
    except Exception as error:
        _log.warning("some types of the server cannot be read: %s", error)
