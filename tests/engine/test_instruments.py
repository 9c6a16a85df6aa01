"""Instruments: definitions, the engine's objects and the catalog's files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workbench.core.errors import DataError
from workbench.engine import catalog
from workbench.engine.instruments import build, describe
from workbench.study import Instrument

DEFINITIONS: dict[str, dict[str, Any]] = {
    "AAPL.XNAS": {"type": "equity", "currency": "USD", "price_precision": 4, "lot_size": 100},
    "GBP/USD.SIM": {
        "type": "currency_pair",
        "base": "GBP",
        "currency": "USD",
        "price_precision": 5,
        "size_precision": 2,
        "margin_init": "0.05",
        "margin_maint": "0.025",
    },
    "BTCUSDT-PERP.BINANCE": {
        "type": "crypto_perpetual",
        "base": "BTC",
        "currency": "USDT",
        "price_precision": 1,
        "price_increment": "0.5",
        "size_precision": 3,
        "size_increment": "0.005",
    },
    "XBTUSD.BITMEX": {
        "type": "crypto_perpetual",
        "base": "BTC",
        "currency": "USD",
        "price_precision": 1,
        "inverse": True,
    },
    "ESZ24.XCME": {
        "type": "future",
        "currency": "USD",
        "price_precision": 2,
        "price_increment": "0.25",
        "multiplier": 50,
        "underlying": "ES",
        "expires": "2024-12-20",
    },
}


def definition(name: str, **changes: Any) -> Instrument:
    return Instrument.model_validate({**DEFINITIONS[name], **changes})


def everything() -> list[tuple[str, Instrument]]:
    return [(name, definition(name)) for name in DEFINITIONS]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "AAPL.XNAS",
            {"type": "Equity", "currency": "USD", "price_increment": "0.0001", "lot_size": "100"},
        ),
        (
            "GBP/USD.SIM",
            {
                "type": "CurrencyPair",
                "raw_symbol": "GBP/USD",
                "base_currency": "GBP",
                "quote_currency": "USD",
                "price_increment": "0.00001",
                "size_increment": "0.01",
                "margin_init": "0.05",
                "margin_maint": "0.025",
            },
        ),
        (
            "BTCUSDT-PERP.BINANCE",
            {
                "type": "CryptoPerpetual",
                "settlement_currency": "USDT",
                "is_inverse": False,
                "price_increment": "0.5",
                "size_increment": "0.005",
            },
        ),
        (
            "XBTUSD.BITMEX",
            {"type": "CryptoPerpetual", "settlement_currency": "BTC", "is_inverse": True},
        ),
        (
            "ESZ24.XCME",
            {
                "type": "FuturesContract",
                "underlying": "ES",
                "multiplier": "50",
                "price_increment": "0.25",
                "expiration_ns": 1734739199999999999,
            },
        ),
    ],
)
def test_the_engine_has_what_the_definition_says(name: str, expected: dict[str, Any]) -> None:
    found = describe(build(name, definition(name)))
    assert found["id"] == name
    assert found["price_precision"] == DEFINITIONS[name]["price_precision"]
    assert {key: found[key] for key in expected} == expected
    json.dumps(found)


def test_increments_keep_their_decimals() -> None:
    made = build("GBP/USD.SIM", definition("GBP/USD.SIM", price_increment="0.1"))
    assert str(made.price_increment) == "0.10000"


READ = """
import json, sys
from pathlib import Path
from workbench.engine import catalog
from workbench.engine.instruments import describe
path, *ids = sys.argv[1:]
found = catalog.instruments(Path(path), ids or None)
print(json.dumps({name: describe(each) for name, each in found.items()}))
"""


def read(path: Path, *ids: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), *ids], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_catalog_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "catalog"
    assert catalog.definitions(path) == {}
    assert catalog.instruments(path) == {}
    (path / ".instruments-killed.tmp" / "data").mkdir(parents=True)
    catalog.write_instruments(path, everything())
    assert catalog.definitions(path) == dict(everything())
    assert read(path) == {name: describe(build(name, each)) for name, each in everything()}
    assert list(read(path, "AAPL.XNAS")) == ["AAPL.XNAS"]
    assert [each.name for each in path.iterdir()] == ["data"]


def test_an_instrument_can_be_replaced_by_one_of_another_type(tmp_path: Path) -> None:
    catalog.write_instruments(tmp_path, everything())
    changed = definition("AAPL.XNAS", price_precision=2)
    other = definition("AAPL.XNAS", lot_size=None)
    catalog.write_instruments(tmp_path, [("AAPL.XNAS", changed), ("GBP/USD.SIM", other)])
    expected = dict(everything()) | {"AAPL.XNAS": changed, "GBP/USD.SIM": other}
    assert catalog.definitions(tmp_path) == expected
    found = read(tmp_path)
    assert len(found) == len(expected)
    assert found["AAPL.XNAS"]["price_precision"] == 2
    assert found["GBP/USD.SIM"]["type"] == "Equity"


def test_a_broken_file_is_named_and_the_others_are_usable(tmp_path: Path) -> None:
    catalog.write_instruments(tmp_path, everything())
    (broken,) = tmp_path.glob("data/equity/AAPL.XNAS/*.parquet")
    broken.write_bytes(broken.read_bytes()[:100])
    assert list(catalog.broken_instruments(tmp_path)) == [broken]
    assert set(catalog.definitions(tmp_path)) == set(DEFINITIONS) - {"AAPL.XNAS"}
    others = [name for name in DEFINITIONS if name != "AAPL.XNAS"]
    assert set(read(tmp_path, *others)) == set(others)
    with pytest.raises(DataError, match=r"data/equity/AAPL\.XNAS/.*\.parquet"):
        catalog.instruments(tmp_path)


def test_folder_names_are_the_engines(tmp_path: Path) -> None:
    names = ["GBP/USD.SIM", "^SPX.XCBO", "BRK/B.XNYS", "ES#1.XCME", "A:B+C=D$E_F.SIM", "A.B-C.SIM"]
    catalog.write_instruments(tmp_path, [(name, definition("GBP/USD.SIM")) for name in names])
    written = {each.name for each in (tmp_path / "data" / "currency_pair").iterdir()}
    assert written == {catalog.folder_name(name) for name in names}
    assert set(catalog.definitions(tmp_path)) == set(names)
