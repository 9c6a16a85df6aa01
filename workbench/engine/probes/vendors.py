"""Sellers of history: what a key opens, and of what."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlsplit

from workbench.engine.probes.answers import read, told
from workbench.engine.probes.base import Failed, Outcome, Probe, Request, quoted


class Databento(Probe):
    """Databento's historical API, through its own client."""

    name = "Databento"
    fields = ("api_key",)

    def address(self) -> str:
        """Return the address of the historical API."""
        return "https://hist.databento.com"

    def account(self) -> Any:
        """Return the datasets, which are listed to whoever has a key."""
        import databento

        client = databento.Historical(self.request.credentials["api_key"], gateway=self.base)
        client.metadata.TIMEOUT = math.ceil(self.patience)
        try:
            return client.metadata.list_datasets()
        except databento.BentoClientError as error:
            raise Failed(f"Databento refuses the key: {quoted(str(error))}") from None

    def describe(self, account: Any) -> Outcome:  # noqa: ARG002 - its list says nothing of the key
        """Say that prices tell it."""
        return Outcome(None, "Databento tells what a key may have when it is asked for a price")

    def instruments(self) -> Outcome:
        """Say which datasets there are: instruments belong to one."""
        if self._account is None:
            return Outcome(None, "datasets are listed to a key that is accepted only")
        return self.listed(list(self._account), "dataset")


class Tardis(Probe):
    """Tardis.dev's HTTP API."""

    name = "Tardis"
    fields = ("api_key",)

    def address(self) -> str:
        """Return the address of the HTTP API."""
        return "https://api.tardis.dev/v1"

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        if not urlsplit(self.base).path:
            self.base += "/v1"

    def account(self) -> Any:
        """Return the answer to ``/api-key-info``: an entry for each thing the key opens."""
        headers = {"Authorization": f"Bearer {self.request.credentials['api_key']}"}
        return read(self.send("GET", "/api-key-info", headers=headers), list)

    def describe(self, account: Any) -> Outcome:
        """Say which exchanges and from when to when."""
        spans = [
            f"{e.get('exchange')} {str(e.get('from'))[:10]} to {str(e.get('to'))[:10]}"
            for e in account
        ]
        plans = sorted({str(e["dataPlan"]) for e in account if e.get("dataPlan")})
        return told(spans, plans)

    def instruments(self) -> Outcome:
        """Say which exchanges there are: instruments belong to one."""
        found = read(self.send("GET", "/exchanges"), list)
        return self.listed([str(exchange["id"]) for exchange in found], "exchange")
