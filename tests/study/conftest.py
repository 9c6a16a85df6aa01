"""A study with every section in it, and ways to load what is written into files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.core.errors import Issue, StudyError
from workbench.study import Study, load

# Line numbers are part of the tests: add lines at the end.
FULL = """\
schema: 1
study: full
data:
  - provider: sample
    instrument: AAPL.XNAS
    bars: 1-DAY-LAST
    start: 2005-01-01
    end: 2013-03-01
  - provider: file
    instrument: GBP/USD.SIM
    ticks: quotes
    path: data/gbpusd.csv
    columns: {timestamp: time}
    timezone: Europe/London
    clean: [sort, drop_duplicates]
    definition: {type: currency_pair, currency: USD, base: GBP, price_precision: 5}
venues:
  - name: XNAS
    account: cash
    balances: [1_000_000 USD]
    fees: {maker: 0, taker: 0.0001}
  - name: SIM
    account: margin
    oms: hedging
    balances: [100_000 USD, 5 BTC]
    leverage: 20
    leverages: {GBP/USD.SIM: 30}
    fees: {per_order: 1 USD}
    fills: {model: probabilistic, slippage_probability: 0.5, seed: 7}
    latency: {base: 5ms}
strategy:
  path: workbench.strategies.ema_cross:EMACross
  config: EMACrossConfig
  params: {fast: 10, slow: 50, trade_size: 1_000, tags: [a, {b: null}]}
risk:
  max_orders: 100/1s
  max_position: {AAPL.XNAS: 2_000}
  max_drawdown: 10%
  on_breach: [alert, flatten]
sweep:
  params:
    fast: [5, 10]
    data.0.start: [2005-01-01, 2006-01-01]
live:
  environment: sandbox
  feeds: [{adapter: replay, speed: 600, options: {loop: false}}]
  execution: [{adapter: sandbox}]
"""


@pytest.fixture
def full() -> str:
    return FULL


@pytest.fixture
def loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Study]:
    """Load texts as files a.yaml, b.yaml, ..., named in errors as written here."""
    monkeypatch.chdir(tmp_path)

    def call(*texts: str | bytes, suffix: str = "yaml", **options: Any) -> Study:
        names = []
        for letter, text in zip("abc", texts, strict=False):
            name = f"{letter}.{suffix}"
            raw = text if isinstance(text, bytes) else text.encode()
            (tmp_path / name).write_bytes(raw)
            names.append(name)
        return load(*names, **options)

    return call


@pytest.fixture
def issues(loads: Callable[..., Study]) -> Callable[..., Sequence[Issue]]:
    """Return what is wrong with a study that must be refused."""

    def call(*texts: str | bytes, **options: Any) -> Sequence[Issue]:
        with pytest.raises(StudyError) as caught:
            loads(*texts, **options)
        assert caught.value.issues
        return caught.value.issues

    return call
