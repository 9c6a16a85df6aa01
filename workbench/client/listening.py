"""Events over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from workbench.client.transport import GatewayError, trusted

_LONGEST = 16 << 20


def listen(
    url: str, token: str, query: Sequence[tuple[str, str]], verify: bool | str
) -> Iterator[dict[str, Any]]:
    """Yield what a gateway tells; ends where the gateway closes the connection.

    Raises
    ------
    GatewayError
        If it does not let us listen, or the connection breaks.

    """
    from websockets.exceptions import ConnectionClosedOK, InvalidStatus, WebSocketException
    from websockets.sync.client import connect

    address = f"ws{url.removeprefix('http')}/events?{urlencode(query)}"
    try:
        with connect(
            address,
            additional_headers={"Authorization": f"Bearer {token}"},
            ssl=trusted(verify) if address.startswith("wss") else None,
            compression=None,
            max_size=_LONGEST,
            proxy=None,
        ) as socket:
            for message in socket:
                yield json.loads(message)
    except ConnectionClosedOK:
        return
    except InvalidStatus as error:
        try:
            problem = json.loads(error.response.body or b"{}")
        except ValueError:
            problem = {}
        status = error.response.status_code
        raise GatewayError(str(problem.get("detail", error)), status, problem) from None
    except (WebSocketException, OSError) as error:
        raise GatewayError(f"the events of {url} broke off: {error}") from None
