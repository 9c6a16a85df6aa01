"""The client: one attribute for each noun, one method for each verb."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from workbench.client.listening import listen
from workbench.client.noun import Noun
from workbench.client.research import Adapters, Backtests, Data, Jobs, Runs, Studies, Sweeps
from workbench.client.trading import Nodes, Orders, Risk
from workbench.client.transport import Document, Transport, quoted


class Client:
    """A gateway's verbs.

    Parameters
    ----------
    url
        Of the gateway, such as ``http://127.0.0.1:8765``.
    token
        What ``workbench gateway token create`` printed.
    timeout
        Seconds for one call.
    verify
        For HTTPS: False, or the path of a certificate to trust.

    Attributes
    ----------
    studies, adapters, data, backtests, sweeps, runs, jobs, nodes, orders, risk, tokens
        The nouns.

    """

    def __init__(
        self, url: str, token: str, *, timeout: float = 30.0, verify: bool | str = True
    ) -> None:
        self._transport = Transport(url, token, timeout=timeout, verify=verify)
        self._verify = verify
        self.studies = Studies(self._transport)
        self.adapters = Adapters(self._transport)
        self.data = Data(self._transport)
        self.backtests = Backtests(self._transport)
        self.sweeps = Sweeps(self._transport)
        self.runs = Runs(self._transport)
        self.jobs = Jobs(self._transport)
        self.nodes = Nodes(self._transport)
        self.orders = Orders(self._transport)
        self.risk = Risk(self._transport)
        self.tokens = Tokens(self._transport)

    def whoami(self) -> Document:
        """Return whose token this is, and what it may do."""
        found: Document = self._transport.call("GET", "/whoami")
        return found

    def metrics(self) -> str:
        """Return the measurements of gateway and nodes, as Prometheus reads them."""
        return str(self._transport.call("GET", "/metrics"))

    def events(
        self,
        since: str | int | Mapping[str, int] = "now",
        *,
        nodes: Sequence[str] = (),
        types: Sequence[str] = (),
    ) -> Iterator[Document]:
        """Yield events as they come, over a WebSocket, until the connection ends.

        ``{"missed": {"node": ..., "from": ..., "to": ...}}`` says what was not told because this
        side was too slow; `nodes.events` has it.

        Parameters
        ----------
        since
            ``"now"``, a number (0: everything), or numbers by node.
        nodes, types
            Only of these; types also by what they begin with (``order``).

        """
        asked = since if isinstance(since, str) else json.dumps(since)
        query = [("since", asked), *(("node", each) for each in nodes)]
        query += [("type", each) for each in types]
        yield from listen(self._transport.url, self._transport.token, query, self._verify)

    def close(self) -> None:
        """Close its connections."""
        self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Tokens(Noun):
    """The gateway's tokens; needs the scope ``admin``."""

    def list(self) -> Iterator[Document]:
        """Yield the tokens, without their texts."""
        return self._transport.pages("/tokens", "tokens")

    def create(self, name: str, scopes: Sequence[str], *, days: float = 90) -> Document:
        """Make a token; its text, ``token``, is shown this once."""
        return self._post("/tokens", {"name": name, "scopes": list(scopes), "days": days})

    def revoke(self, name: str) -> Sequence[Document]:
        """Revoke a token by its id, or all of a name."""
        found: Sequence[Document] = self._call("DELETE", f"/tokens/{quoted(name)}")["revoked"]
        return found
