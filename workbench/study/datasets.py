"""The data section of a study: instruments, and a dataset of each provider."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from workbench.study.base import Document
from workbench.study.fields import (
    BarSpec,
    CurrencyCode,
    FilePath,
    Flag,
    InstrumentId,
    Moment,
    Name,
    NonNegative,
    Positive,
    Symbol,
    VendorSymbol,
    Whole,
    moment_ns,
    split_instrument,
)

Kind = Literal["bars", "quotes", "trades", "order_book_deltas", "order_book_depths"]
"""What a dataset holds; the names are the engine's own, and those of its catalog's folders."""


_BOOKS: dict[str, Kind] = {"deltas": "order_book_deltas", "depths": "order_book_depths"}


class Instrument(Document):
    """What the engine must know of an instrument whose provider does not describe it."""

    type: Literal["equity", "currency_pair", "crypto_perpetual", "future"] = Field(
        description="What it is"
    )
    currency: CurrencyCode = Field(description="Quote currency: the one prices are in")
    base: CurrencyCode | None = Field(None, description="Base currency of a pair or perpetual")
    settlement: CurrencyCode | None = Field(None, description="Default: the quote currency")
    price_precision: Whole = Field(ge=0, le=16, description="Decimals of a price")
    price_increment: Positive | None = Field(None, description="Default: one unit of precision")
    size_precision: Whole = Field(0, ge=0, le=16, description="Decimals of a quantity")
    size_increment: Positive | None = Field(None, description="Default: one unit of precision")
    lot_size: Positive | None = Field(None, description="Rounded lot, in units")
    multiplier: Positive = Field(Decimal(1), description="Units of the underlying in a contract")
    margin_init: NonNegative = Field(Decimal(0), description="Initial margin, share of notional")
    margin_maint: NonNegative = Field(Decimal(0), description="Maintenance margin, share")
    inverse: Flag = Field(False, description="Of a perpetual: settled in the base currency")
    underlying: Symbol | None = Field(None, description="Of a future")
    expires: Moment | None = Field(None, description="Of a future")


class DataSpec(Document):
    """One dataset of a study: of which instrument, what, from when to when."""

    provider: str
    instrument: InstrumentId = Field(description="SYMBOL.VENUE")
    bars: BarSpec | None = Field(None, description="Bars of this specification")
    ticks: Literal["quotes", "trades"] | None = Field(None, description="Or ticks of this kind")
    book: Literal["deltas", "depths"] | None = Field(
        None, description="Or the order book: every change, or its best levels"
    )
    start: Moment | None = Field(None, description="Default: where the data begins")
    end: Moment | None = Field(None, description="Inclusive; default: where the data ends")

    @property
    def kind(self) -> Kind:
        """What the dataset holds."""
        return _BOOKS[self.book] if self.book else self.ticks or "bars"

    @property
    def identity(self) -> str:
        """The catalog's name for it: the bar type, or the instrument for ticks."""
        return f"{self.instrument}-{self.bars}-EXTERNAL" if self.bars else self.instrument

    @property
    def venue(self) -> str:
        """The venue part of the instrument id."""
        return split_instrument(self.instrument)[1]

    @property
    def start_ns(self) -> int | None:
        """First nanosecond wanted (UNIX, UTC), None from where the data begins."""
        return None if self.start is None else moment_ns(self.start)

    @property
    def end_ns(self) -> int | None:
        """Last nanosecond wanted, inclusive, None up to where the data ends."""
        return None if self.end is None else moment_ns(self.end, end=True)


class SampleData(DataSpec):
    """Real daily bars of five shares, adjusted for splits and dividends."""

    provider: Literal["sample"] = Field(description="Daily bars that ship with the workbench")


class CatalogData(DataSpec):
    """Rows that are in the catalog already, whoever wrote them."""

    provider: Literal["catalog"] = Field(description="What is there; nothing is fetched")


class Columns(Document):
    """Which column of a file holds what, by header name; only what differs from the default."""

    timestamp: str = Field("timestamp", description="Time of a row")
    open: str = Field("open", description="Of bars")
    high: str = Field("high", description="Of bars")
    low: str = Field("low", description="Of bars")
    close: str = Field("close", description="Of bars")
    volume: str | None = Field(
        None, description="Default: 'volume' where the file has it, else unlimited"
    )
    bid: str = Field("bid", description="Of quotes")
    ask: str = Field("ask", description="Of quotes")
    bid_size: str | None = Field(
        None, description="Default: 'bid_size' where present, else unlimited"
    )
    ask_size: str | None = Field(
        None, description="Default: 'ask_size' where present, else unlimited"
    )
    price: str = Field("price", description="Of trades")
    size: str = Field("size", description="Of trades")
    side: str | None = Field(None, description="buy or sell; default: 'side' where present")
    trade_id: str | None = Field(None, description="Default: 'trade_id' where present, else made")


class FileData(DataSpec):
    """Bars, quotes or trades of a CSV or Parquet file."""

    provider: Literal["file"] = Field(description="A CSV or Parquet file")
    path: FilePath = Field(description="Relative to the project")
    format: Literal["csv", "parquet"] | None = Field(None, description="Default: by file name")
    columns: Columns = Field(Columns(), description="Which column holds what")
    delimiter: str = Field(",", min_length=1, max_length=1, description="Between CSV columns")
    timezone: str = Field("UTC", description="Of timestamps that carry none (IANA name)")
    timestamp_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        None, description="Of integer timestamps; needed where the file has those"
    )
    timestamp_marks: Literal["open", "close"] = Field(
        "close", description="Which end of the bar its timestamp is: the engine trades at the close"
    )
    clean: tuple[Literal["sort", "drop_duplicates", "drop_invalid"], ...] = Field(
        (), description="Faults to mend on import; any other fault refuses the file"
    )
    definition: Instrument | None = Field(
        None, description="The instrument, unless the catalog knows it already"
    )


class DatabentoData(DataSpec):
    """History of Databento, or files downloaded from there."""

    provider: Literal["databento"] = Field(description="Databento, paid by use")
    dataset: Symbol | None = Field(
        None, description="Databento's code of the dataset; needed for a download"
    )
    schema_: Literal[
        "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d", "trades", "tbbo", "mbp-1", "bbo-1s",
        "bbo-1m", "cmbp-1", "cbbo-1s", "cbbo-1m", "mbp-10", "mbo",
    ] | None = Field(
        None,
        alias="schema",
        description="Default: by what is wanted: bars ohlcv, trades trades, quotes mbp-1, "
        "deltas mbo, depths mbp-10",
    )  # fmt: skip
    symbol: VendorSymbol | None = Field(
        None, description="Databento's; default: the instrument's symbol"
    )
    symbology: Literal["raw_symbol", "continuous", "instrument_id"] = Field(
        "raw_symbol", description="How Databento is to read the symbol (stype_in)"
    )
    delivery: Literal["stream", "batch"] = Field(
        "stream", description="At once, or as files made for download (large orders)"
    )
    path: FilePath | None = Field(
        None, description="A .dbn or .dbn.zst file, or a folder of them, instead of a download"
    )
    definition: Instrument | None = Field(
        None, description="The instrument, instead of Databento's definition of it"
    )


class TardisData(DataSpec):
    """Tick history of crypto venues from Tardis, or files downloaded from there."""

    provider: Literal["tardis"] = Field(description="Tardis.dev, by subscription")
    exchange: Name | None = Field(
        None, description="Tardis's name of the exchange; needed for a download"
    )
    symbol: Symbol | None = Field(None, description="Tardis's; default: the instrument's symbol")
    snapshot: Literal[5, 25] = Field(25, description="Of depths: levels in the source's snapshots")
    path: FilePath | None = Field(
        None, description="A .csv or .csv.gz file, or a folder of them, instead of a download"
    )
    definition: Instrument | None = Field(
        None, description="The instrument, instead of Tardis's definition of it"
    )


class ExchangeData(DataSpec):
    """History that an exchange serves to anybody, without a key."""

    provider: Literal["binance", "bybit", "kraken", "okx"] = Field(
        description="The exchange itself, free of charge"
    )


AnyData = Annotated[
    SampleData | CatalogData | FileData | DatabentoData | TardisData | ExchangeData,
    Field(discriminator="provider"),
]
