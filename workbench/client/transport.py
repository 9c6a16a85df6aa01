"""Requests, answers, errors and pages."""

from __future__ import annotations

import json
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from workbench.core.errors import InputError, Issue, WorkbenchError

type Document = dict[str, Any]

type StudyLike = str | Path | Mapping[str, Any]
"""A file of the gateway's project (``studies/x.yaml``), the name of a stored study, the text of one
(several lines), or its values."""

_TRIES = 3
_PAUSE_SECONDS = 0.2


class GatewayError(WorkbenchError):
    """The gateway answered with an error, or not at all.

    Attributes
    ----------
    status
        Of HTTP; None if there was no answer.
    problem
        The problem document, empty if there is none.

    """

    def __init__(
        self, message: str, status: int | None = None, problem: Document | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.problem = status, problem or {}


class Transport:
    """One gateway, one token.

    Parameters
    ----------
    url
        Of the gateway, with the path a proxy has put it at.
    token
        What ``workbench gateway token create`` printed.
    timeout
        Seconds for one call.
    verify
        For HTTPS: False, or the path of a certificate to trust.

    """

    def __init__(self, url: str, token: str, *, timeout: float, verify: bool | str) -> None:
        self.url, self.token = url.rstrip("/"), token
        self.http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            verify=trusted(verify),
            trust_env=False,  # a token is for the gateway, not for a proxy
        )

    def call(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        once: bool = False,
        key: str | None = None,
        timeout: float | None = None,
        whole: bool = False,
    ) -> Any:
        """Return what the gateway answers.

        Parameters
        ----------
        method, path, content, query
            The call; None in `content` and `query` is left out.
        once
            Whether it must not happen twice: it gets an ``Idempotency-Key``, and is asked for again
            under it where the connection is lost.
        key
            The key to use, so that a later program can ask for the same.
        timeout
            Seconds, where it takes longer than others.
        whole
            Whether None in `content` is a value, and sent.

        Raises
        ------
        InputError
            If what was handed in is wrong: every issue with its place.
        GatewayError
            On any other error.

        """
        if content is not None and not whole:
            content = {name: value for name, value in content.items() if value is not None}
        name = (key or uuid.uuid4().hex) if once or key else None
        answer = self._sent(method, path, content, query, name, timeout)
        if answer.is_success:
            kind = answer.headers.get("content-type", "")
            return answer.json() if kind.startswith("application/json") else answer.text
        raise _error(answer)

    def pages(
        self, path: str, name: str, query: Mapping[str, Any] | None = None, cursor: str = "cursor"
    ) -> Iterator[Any]:
        """Yield every item of a list, page by page."""
        at: Any = None
        while True:
            found = self.call("GET", path, query={**(query or {}), cursor: at})
            yield from found[name]
            if (at := found["next"]) is None:
                return

    def _sent(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        key: str | None,
        timeout: float | None,
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        body = None
        if content is not None:
            body = json.dumps(content, default=str).encode()
            headers["Content-Type"] = "application/json"
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        request = self.http.build_request(
            method,
            path,
            content=body,
            params=asked,
            headers=headers,
            **({} if timeout is None else {"timeout": timeout}),  # type: ignore[arg-type]
        )
        tries = _TRIES if method == "GET" or key else 1
        for left in reversed(range(tries)):
            try:
                answer = self.http.send(request)
            except httpx.TransportError as error:
                if not left:
                    reason = str(error) or type(error).__name__
                    raise GatewayError(f"no answer from {self.url}: {reason}") from None
            else:
                under_way = answer.status_code == 409 and "Retry-After" in answer.headers
                if not left or not (under_way or answer.status_code == 503):
                    return answer
            time.sleep(_PAUSE_SECONDS * (tries - left))
        raise AssertionError("not reached")


def trusted(verify: bool | str) -> ssl.SSLContext:
    """Return what certificates are checked by."""
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def quoted(name: object) -> str:
    """Return a name as a part of a path."""
    return quote(str(name), safe="")


def study(
    value: StudyLike, over: Mapping[str, Any] | None, params: Mapping[str, Any] | None
) -> Any:
    """Return how a request names a study."""
    found: Document
    if isinstance(value, Mapping):
        found = {"content": dict(value)}
    elif isinstance(value, str) and "\n" in value:
        found = {"text": value}
    elif isinstance(value, Path) or value.endswith((".yaml", ".yml", ".json")):
        found = {"file": str(value)}
    else:
        found = {"name": value}
    return found | {"over": dict(over or {}), "params": dict(params or {})}


def _error(answer: httpx.Response) -> WorkbenchError:
    try:
        problem = answer.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return GatewayError(f"{answer.status_code}: {answer.text[:200]}", answer.status_code)
    if answer.status_code == 422 and problem.get("errors"):
        return InputError([Issue(**each) for each in problem["errors"]])
    return GatewayError(detail, answer.status_code, problem)
