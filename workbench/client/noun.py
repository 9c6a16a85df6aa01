"""What the nouns share."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from workbench.client.transport import Document, Transport

type Values = Mapping[str, Any]
type Number = Decimal | float | str
"""A price or quantity; text and `Decimal` say exactly what is meant."""


class Noun:
    """Something there are verbs of."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _call(self, method: str, path: str, *content: Values, **options: Any) -> Document:
        found: Document = self._transport.call(method, path, *content, **options)
        return found

    def _get(self, path: str, **query: Any) -> Document:
        return self._call("GET", path, query=query)

    def _post(self, path: str, content: Values, **options: Any) -> Document:
        return self._call("POST", path, content, **options)
