"""Databento's historical service on this machine: its HTTP API over TLS, real DBN, real refusals.

`DatabentoServer` sells what it is given, `Market` by market, to whoever has the key. It counts as
Databento does: exactly in steps of ten minutes, and too many in between.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import trustme
import zstandard
from aiohttp import web

from tests.data.databento.dbn_files import DAY, ES, T0, definition, header, index
from tests.servers.faults import Faults
from tests.servers.local import LocalServer

KEY = "db-L0calKeyOfNobody7Qm2Vt9Rk4Wp8"
_DOCS = "https://databento.com/docs"
_TEN_MINUTES = 600 * 10**9
_PER_BLOCK = 50  # records: what arrives of a broken stream can be read up to a block's end

Spans = Sequence[tuple[int, int, int]]


@dataclass
class Market:
    """What a dataset has.

    Attributes
    ----------
    start, end
        Its available range.
    records
        By schema, of every instrument.
    raw, continuous
        Symbols: (number, first midnight, midnight after) of each span.
    definitions
        Definition records with the day they are of and their instrument's number.

    """

    start: int = T0
    end: int = T0 + 10 * DAY
    records: dict[str, Any] = field(default_factory=dict)
    raw: dict[str, Spans] = field(default_factory=lambda: {"ESU4": [(ES, T0, T0 + 10 * DAY)]})
    continuous: dict[str, Spans] = field(default_factory=dict)
    definitions: list[tuple[int, int, bytes]] = field(
        default_factory=lambda: [(T0 + day * DAY, ES, definition()) for day in range(10)]
    )
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)

    def spans(self, symbol: str, stype: str) -> Spans:
        """Return what a symbol stands for."""
        if stype == "instrument_id":
            return [(int(symbol), self.start - self.start % DAY, self.end)]
        return {"raw_symbol": self.raw, "continuous": self.continuous}[stype].get(symbol, [])


class Refused(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, case: str, message: str, **payload: Any) -> None:
        super().__init__(message)
        detail = {
            "case": case,
            "message": message,
            "status_code": status,
            "docs": _DOCS,
            "payload": payload or None,
        }
        self.answer = web.json_response({"detail": detail}, status=status)


class DatabentoServer(LocalServer):
    """Serves markets.

    Parameters
    ----------
    folder
        For the certificate's file.
    markets
        By dataset.
    faults
        See `tests.servers.faults`.

    Attributes
    ----------
    sold
        Records sent by schema, those of answers that broke off included.
    jobs
        Batch orders by number.
    looks
        How often an order is looked at before it is done.
    drip
        Seconds between pieces of a stream; None for all at once.
    dripping
        Set once a slow stream's first piece is out.
    lost
        Records each stream leaves out at its end, without a word.
    forbidden
        Datasets the key has no licence for.
    price
        US dollars for 2**30 bytes.
    warn
        A warning sent with every stream.
    refusal
        What every request is refused with.
    damaged
        Whether files of orders arrive other than they are listed.
    elsewhere
        Another address told for them.
    partial
        How often the rest of a file was asked for.

    """

    def __init__(
        self,
        folder: Path,
        markets: Mapping[str, Market] | Market,
        faults: Faults | None = None,
    ) -> None:
        self.markets = {"GLBX.MDP3": markets} if isinstance(markets, Market) else dict(markets)
        self.faults = faults or Faults()
        self.keys = {KEY}
        self.sold: Counter[str] = Counter()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.looks = 2
        self.drip: float | None = None
        self.dripping = asyncio.Event()
        self.lost = 0
        self.forbidden: set[str] = set()
        self.price = 0.5
        self.warn = ""
        self.refusal: Refused | None = None
        self.damaged = False
        self.elsewhere = ""
        self.partial = 0
        authority = trustme.CA()
        self.certificate = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.certificate))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        app = web.Application(middlewares=[self.faults.middleware, self._refusing])
        methods = {
            "GET": ("list_datasets", "list_schemas", "get_dataset_range", "get_dataset_condition"),
            "POST": ("get_record_count", "get_billable_size", "get_cost"),
        }
        for verb, names in methods.items():
            for name in names:
                app.router.add_route(verb, f"/v0/metadata.{name}", getattr(self, f"_{name}"))
        app.router.add_post("/v0/symbology.resolve", self._resolve)
        app.router.add_post("/v0/timeseries.get_range", self._get_range)
        app.router.add_post("/v0/batch.submit_job", self._submit_job)
        app.router.add_get("/v0/batch.list_jobs", self._list_jobs)
        app.router.add_get("/v0/batch.list_files", self._list_files)
        app.router.add_get("/v0/batch/download/{job}/{name}", self._download)
        super().__init__(app, tls)

    def __enter__(self) -> Self:
        super().__enter__()
        self.environment = {
            "WORKBENCH_URL_DATABENTO": self.url,
            "WORKBENCH_SECRET_DATABENTO_LIVE_API_KEY": KEY,
            "REQUESTS_CA_BUNDLE": str(self.certificate),
        }
        return self

    @property
    def streams(self) -> int:
        """How often records were asked for; definitions not counted."""
        return self._asked

    _asked = 0

    @web.middleware
    async def _refusing(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(given).decode().removesuffix(":") not in self.keys:
            return Refused(401, "auth_authentication_failed", "Authentication failed.").answer
        if self.refusal:
            return self.refusal.answer
        try:
            answer: web.StreamResponse = await handler(request)
        except Refused as refused:
            return refused.answer
        return answer

    def _market(self, query: Mapping[str, Any]) -> Market:
        name = str(query.get("dataset"))
        if name not in self.markets:
            raise Refused(422, "dataset_not_found", f"The dataset {name} was not found.")
        if name in self.forbidden:
            message = f"A live data license is required to access {name} data."
            raise Refused(403, "license_not_found_unauthorized", message)
        return self.markets[name]

    async def _list_datasets(self, request: web.Request) -> web.Response:
        return web.json_response(sorted(self.markets))

    async def _list_schemas(self, request: web.Request) -> web.Response:
        market = self._market(request.query)
        return web.json_response([*market.records, "definition", "statistics"])

    async def _get_dataset_range(self, request: web.Request) -> web.Response:
        market = self._market(request.query)
        spans = dict.fromkeys([*market.records, "definition"], (market.start, market.end))
        spans |= market.ranges
        whole = {"start": _iso(market.start), "end": _iso(market.end)}
        by_schema = {s: {"start": _iso(a), "end": _iso(b)} for s, (a, b) in spans.items()}
        return web.json_response(whole | {"schema": by_schema})

    async def _get_dataset_condition(self, request: web.Request) -> web.Response:
        market = self._market(request.query)
        first = dt.date.fromisoformat(request.query["start_date"])
        last = dt.date.fromisoformat(request.query["end_date"])
        days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
        return web.json_response(
            [
                {
                    "date": str(day),
                    "condition": market.conditions.get(str(day), "available"),
                    "last_modified_date": str(day),
                }
                for day in days
            ]
        )

    async def _get_record_count(self, request: web.Request) -> web.Response:
        return web.json_response(self._counted(await request.post())[0])

    async def _get_billable_size(self, request: web.Request) -> web.Response:
        return web.json_response(self._counted(await request.post())[1])

    async def _get_cost(self, request: web.Request) -> web.Response:
        size = self._counted(await request.post())[1]
        return web.json_response(round(size * self.price / 2**30, 12))

    def _counted(self, query: Mapping[str, Any]) -> tuple[int, int]:
        market, schema, start, end = self._checked(query)
        outer = (start - start % _TEN_MINUTES, -(-end // _TEN_MINUTES) * _TEN_MINUTES)
        if schema == "definition":
            outer = (start - start % DAY, -(-end // DAY) * DAY)
        found = self._found(market, query, *outer)
        return len(found), len(found) * (520 if schema == "definition" else found.dtype.itemsize)

    def _checked(self, query: Mapping[str, Any]) -> tuple[Market, str, int, int]:
        market = self._market(query)
        schema = str(query["schema"])
        if schema not in {*market.records, "definition"}:
            message = f"The schema {schema} is not supported by {query['dataset']}."
            raise Refused(422, "data_schema_not_supported", message)
        start, end = int(query["start"]), int(query["end"])
        first, after = market.ranges.get(schema, (market.start, market.end))
        name = query["dataset"]
        if start >= end:
            message = (
                f"Invalid time range query, `start` {start} cannot be on or after `end` {end}."
            )
            raise Refused(422, "data_time_range_start_on_or_after_end", message)
        if start < first:
            message = (
                f"`start` in query ('{start}') was before the available start of dataset {name} "
                f"('{_iso(first)}'). Try requesting with a later `start`."
            )
            raise Refused(422, "data_start_before_available_start", message)
        if end > after:
            message = (
                f"The dataset {name} has data available up to '{_iso(after)}'. The `end` in the "
                f"query ('{end}') is after the available range. Try requesting with an earlier "
                "`end`."
            )
            raise Refused(422, "data_end_after_available_end", message)
        if not self._overlapping(market, query, start, end):
            message = "None of the symbols could be resolved"
            raise Refused(422, "symbology_invalid_request", message)
        return market, schema, start, end

    def _overlapping(
        self, market: Market, query: Mapping[str, Any], start: int, end: int
    ) -> list[tuple[int, int, int]]:
        spans = market.spans(str(query["symbols"]), str(query["stype_in"]))
        return [span for span in spans if span[1] < end and start < span[2]]

    def _found(self, market: Market, query: Mapping[str, Any], start: int, end: int) -> Any:
        """Return the records of a query; of definitions a list."""
        spans = self._overlapping(market, query, start, end)
        if query["schema"] == "definition":
            return [
                content
                for day, number, content in market.definitions
                if start <= day < end and any(n == number and a <= day < b for n, a, b in spans)
            ]
        records = market.records[str(query["schema"])]
        times = index(records)
        mine = np.zeros(len(records), dtype=bool)
        for number, first, after in spans:
            mine |= (records["instrument_id"] == number) & (times >= first) & (times < after)
        return records[mine & (times >= start) & (times < end)]

    def _encoded(self, query: Mapping[str, Any]) -> tuple[bytes, int]:
        market, schema, start, end = self._checked(query)
        found = self._found(market, query, start, end)
        symbol = str(query["symbols"])
        head = header(
            schema,
            {symbol: self._overlapping(market, query, start, end)},
            start,
            end,
            dataset=str(query["dataset"]),
            stype_in=str(query["stype_in"]),
        )
        pack = zstandard.ZstdCompressor().compressobj()
        content = pack.compress(head) + pack.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        if schema == "definition":
            return content + pack.compress(b"".join(found)) + pack.flush(), len(found)
        found = found[: len(found) - self.lost]
        for at in range(0, len(found), _PER_BLOCK):
            content += pack.compress(found[at : at + _PER_BLOCK].tobytes())
            content += pack.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return content + pack.flush(), len(found)

    async def _get_range(self, request: web.Request) -> web.StreamResponse:
        query = await request.post()
        content, count = self._encoded(query)
        self.sold[str(query["schema"])] += count
        headers = {"X-Warning": self.warn} if self.warn else {}
        if query["schema"] != "definition":
            self._asked += 1
        if self.drip is None or query["schema"] == "definition":
            kind = "application/octet-stream"
            return web.Response(body=content, content_type=kind, headers=headers)
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        piece = max(len(content) // 50, 1)
        for at in range(0, len(content), piece):
            await answer.write(content[at : at + piece])
            self.dripping.set()
            await asyncio.sleep(self.drip)
        return answer

    async def _resolve(self, request: web.Request) -> web.Response:
        query = await request.post()
        market = self._market(query)
        start, end = (_day_ns(str(query[name])) for name in ("start_date", "end_date"))
        result: dict[str, list[dict[str, str]]] = {}
        for symbol in str(query["symbols"]).split(","):
            if query["stype_in"] == "instrument_id":
                spans: list[tuple[Any, int, int]] = [
                    (name, a, b)
                    for name, each in market.raw.items()
                    for number, a, b in each
                    if str(number) == symbol
                ]
            else:
                spans = list(market.spans(symbol, str(query["stype_in"])))
            result[symbol] = [
                {"d0": _date(max(a, start)), "d1": _date(min(b, end)), "s": str(number)}
                for number, a, b in spans
                if a < end and start < b
            ]
        if not any(result.values()):
            raise Refused(422, "symbology_invalid_request", "None of the symbols could be resolved")
        return web.json_response(
            {
                "result": {name: spans for name, spans in result.items() if spans},
                "symbols": list(result),
                "stype_in": query["stype_in"],
                "stype_out": query["stype_out"],
                "partial": [],
                "not_found": [name for name, spans in result.items() if not spans],
                "message": "OK",
                "status": 0,
            }
        )

    async def _submit_job(self, request: web.Request) -> web.Response:
        query = await request.post()
        content, count = self._encoded(query)
        number = f"GLBX-20240711-{len(self.jobs):010d}"
        self.sold[str(query["schema"])] += count
        job = {
            "id": number,
            "user_id": "NOBODY",
            "dataset": query["dataset"],
            "symbols": query["symbols"],
            "stype_in": query["stype_in"],
            "stype_out": query["stype_out"],
            "schema": query["schema"],
            "start": _iso(int(str(query["start"]))),
            "end": _iso(int(str(query["end"]))),
            "encoding": "dbn",
            "compression": "zstd",
            "split_duration": query["split_duration"],
            "delivery": "download",
            "state": "queued",
            "record_count": None,
            "progress": None,
            "ts_received": _iso(T0),
        }
        self.jobs[number] = job
        self.files[number] = {"metadata.json": b"{}"} | self._split(query, content)
        job["_looks"], job["_count"] = self.looks, count
        return web.json_response(_shown(job))

    def _split(self, query: Mapping[str, Any], content: bytes) -> dict[str, bytes]:
        """Return the files of an order, cut at midnight if it says so."""
        name = f"glbx-mdp3-{{}}.{query['schema']}.dbn.zst"
        if query["split_duration"] == "none":
            return {name.format("all"): content}
        market = self._market(query)
        start, end = int(query["start"]), int(query["end"])
        files = {}
        for first in range(start - start % DAY, end, DAY):
            span = (max(first, start), min(first + DAY, end))
            records = self._found(market, query, *span)
            if not len(records):
                continue
            times = index(records)  # of one file of several they are those of its records
            ends = int(times[0]), int(times[-1])
            symbols = {str(query["symbols"]): self._overlapping(market, query, *span)}
            head = header(str(query["schema"]), symbols, *ends, dataset=str(query["dataset"]))
            packed = zstandard.compress(head + records.tobytes())
            files[name.format(_date(first).replace("-", ""))] = packed
        return files

    async def _list_jobs(self, request: web.Request) -> web.Response:
        states = request.query["states"].split(",")
        for job in self.jobs.values():
            if job["state"] in ("queued", "processing"):
                job["_looks"] -= 1
                job["state"], job["progress"] = "processing", 50
                if job["_looks"] < 0:
                    done = {"state": "done", "progress": 100, "record_count": job["_count"]}
                    job.update(done)
        found = [_shown(job) for job in self.jobs.values() if job["state"] in states]
        return web.json_response(found)

    async def _list_files(self, request: web.Request) -> web.Response:
        number = request.query["job_id"]
        if number not in self.jobs:
            raise Refused(404, "batch_job_not_found", f"Batch job {number} was not found.")
        at = self.elsewhere or self.url
        return web.json_response(
            [
                {
                    "filename": name,
                    "size": len(content),
                    "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
                    "urls": {"https": f"{at}/v0/batch/download/{number}/{name}", "ftp": ""},
                }
                for name, content in self.files[number].items()
            ]
        )

    async def _download(self, request: web.Request) -> web.StreamResponse:
        at = request.match_info
        content = self.files[at["job"]][at["name"]]
        span = request.http_range
        body = content[span][::-1] if self.damaged else content[span]
        status = 206 if span.start is not None else 200
        self.partial += status == 206
        headers = {}
        if status == 206:
            headers["Content-Range"] = f"bytes {span.start}-{len(content) - 1}/{len(content)}"
        if self.drip is None:
            return web.Response(
                body=body, status=status, headers=headers, content_type="application/zstd"
            )
        headers["Content-Length"] = str(len(body))
        answer = web.StreamResponse(status=status, headers=headers)
        await answer.prepare(request)
        for start in range(0, len(body), max(len(body) // 20, 1)):
            await answer.write(body[start : start + max(len(body) // 20, 1)])
            self.dripping.set()
            await asyncio.sleep(self.drip)
        return answer


def _shown(job: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if not name.startswith("_")}


def _iso(ns: int) -> str:
    seconds, fraction = divmod(ns, 10**9)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def _date(ns: int) -> str:
    return str(dt.datetime.fromtimestamp(ns // 10**9, dt.UTC).date())


def _day_ns(day: str) -> int:
    return int(dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 10**9
