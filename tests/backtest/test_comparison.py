import json

from workbench.backtest.comparison import compare, table


def test_what_differs_and_what_came_of_it(simulated, bars, tmp_path):
    prices = {"AAPL.XNAS": bars("AAPL", "2010", "2011")}
    one, other = (simulated(tmp_path, prices, fast=fast, id=str(fast)) for fast in (5, 10))
    found = compare([one, other])
    assert found["runs"] == ["5", "10"]
    assert found["params"] == {"strategy.params.fast": [5, 10]}
    assert found["statistics"]["sharpe"] == [r.statistics["sharpe"] for r in (one, other)]
    assert found["balances"] == [one.balances, other.balances]
    assert found["identical"] is False
    assert found["digests"]["engine"] is True
    assert found["digests"]["fills"] is False
    json.dumps(found, allow_nan=False)


def test_a_repetition_is_identical(runs):
    found = compare([runs["one"], runs["one"]])
    assert found["identical"] is True
    assert found["params"] == {}
    assert all(found["digests"].values())


def test_runs_on_other_data(runs):
    found = compare([runs["one"], runs["several"]])
    assert found["params"]["data.1.instrument"] == [None, "MSFT.XNAS"]
    assert found["digests"]["data"] is False


def test_a_failed_run_is_not_identical_to_itself(runs):
    found = compare([runs["failed"], runs["failed"]])
    assert found["identical"] is False
    assert found["status"] == ["failed", "failed"]


def test_the_table_reads_in_words(runs):
    found = table([runs["one"], runs["currencies"]])
    assert list(found.columns) == [runs["one"].id, runs["currencies"].id]
    first = found.iloc[:, 0]
    assert first["Status"] == "done"
    assert first["Total return"] == "35.08 %"
    assert first["Profit (USD)"] == runs["one"].pnl["USD"]
    assert first["Profit (EUR)"] == ""
    assert found.iloc[:, 1]["Profit (EUR)"] == runs["currencies"].pnl["EUR"]
