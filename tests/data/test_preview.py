"""A look at a dataset: what is drawn is what the rows say, whatever their number."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.market import DAY, MINUTE, SECOND, ns, walk, write
from workbench import data
from workbench.core.errors import Cancelled, DataError, InputError
from workbench.core.style import holoviews
from workbench.data import buckets, pictures
from workbench.data.buckets import Series
from workbench.data.catalog import Dataset

MINUTES = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"
START = ns("2024-01-02 00:00:00")


def series(project, kind="trades", identity="BTCUSDT.BINANCE"):
    return Series(kind, identity, Dataset(project, kind, identity).good())


def small(monkeypatch, overview=64, shown=20, batch=50):
    """Make few rows as much as millions are."""
    monkeypatch.setattr(buckets, "OVERVIEW", overview)
    monkeypatch.setattr(buckets, "SHOWN", shown)
    monkeypatch.setattr(buckets, "_BATCH", batch)


def by_hand(ts, prices, sizes, step, early=0):
    """Join trades one by one; by the beginning of the bucket."""
    found = {}
    for at, price, size in zip(ts, prices, sizes, strict=True):
        start = (int(at) - early + 3 * DAY) // step * step - 3 * DAY
        if start not in found:
            found[start] = [price, price, price, price, 0, 0]
        one = found[start]
        one[1:4] = max(one[1], price), min(one[2], price), price
        one[4] += size
        one[5] += 1
    return found


def same(found, wanted, span):
    """Hold the buckets of a span against those made by hand."""
    inside = found.within(span)
    names = ("open", "high", "low", "close", "volume", "rows")
    lists = [inside.columns[name].tolist() for name in names]
    rows = dict(zip(inside.starts.tolist(), map(list, zip(*lists, strict=True)), strict=True))
    expected = {s: w for s, w in wanted.items() if s <= span[1] and s + found.step > span[0]}
    assert set(rows) == set(expected)
    for start, row in rows.items():
        price = [value / 100 for value in expected[start][:4]]
        assert row == pytest.approx([*price, *expected[start][4:]])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), mean=st.sampled_from([10**4, 10**7, 10**9, 10**11]))
def test_every_zoom_shows_the_rows_and_nothing_else(project, monkeypatch, seed, mean):
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 1_500))
    # Bursts: times between trades differ by orders of magnitude.
    pauses = random.exponential(mean, count) * 10.0 ** random.integers(-3, 3, count)
    ts, prices = START + np.cumsum(1 + pauses.astype(int)), walk(count, seed)
    sizes = random.integers(1, 100, count)
    shutil.rmtree(project.catalog, ignore_errors=True)
    begin = START
    for part in np.array_split(np.arange(count), int(random.integers(1, 4))):
        if len(part):
            end = int(ts[part[-1]])
            write(
                project, "trades", "BTCUSDT.BINANCE", ts[part], prices=prices[part],
                sizes=sizes[part], interval=(begin, end),
            )  # fmt: skip
            begin = end + 1
    small(monkeypatch)
    whole = series(project)
    assert len(whole.overview) <= 64
    first, last = whole.overview.span
    for _ in range(8):
        ends = np.sort(random.integers(first, last + 1, 2))
        span = int(ends[0]), int(ends[1]) + 1
        found = whole.look(span)
        assert len(found.within(span)) <= 21
        same(found, by_hand(ts, prices, sizes, found.step), span)
        # What lies beside it, for a picture that is moved, is whole too.
        if len(found):
            begin, end = found.span
            same(found, by_hand(ts, prices, sizes, found.step), (begin, end - 1))
    everything = whole.look((first, last))
    assert everything.columns["rows"].sum() == count
    same(everything, by_hand(ts, prices, sizes, everything.step), (first, last))


def test_the_time_of_a_bar_is_its_close(project, monkeypatch):
    small(monkeypatch, shown=5)
    ts = START + MINUTE * np.arange(1, 25)
    write(project, "bars", MINUTES, ts, prices=walk(24))
    whole = series(project, "bars", MINUTES)
    # A bar that closes at midnight is the last of the day, not the first of the next.
    assert whole.overview.span == (START, START + 24 * MINUTE)
    found = whole.look((START, START + 24 * MINUTE))
    assert found.step == 5 * MINUTE
    assert found.starts[0] == START
    assert found.columns["rows"].tolist() == [5, 5, 5, 5, 4]
    assert found.columns["close"].tolist() == (walk(24)[[4, 9, 14, 19, 23]] / 100).tolist()


@pytest.mark.parametrize(("spec", "finest"), [("7-MINUTE-LAST", 7 * MINUTE), ("1-DAY-LAST", DAY)])
def test_bars_are_never_cut_up(project, spec, finest):
    identity = f"AAPL.XNAS-{spec}-EXTERNAL"
    write(project, "bars", identity, START + finest * np.arange(1, 400), prices=walk(399))
    whole = series(project, "bars", identity)
    assert whole.finest == whole.overview.step == finest
    assert whole.look((START, START + 10 * finest)).columns["rows"].max() == 1


def test_weeks_begin_on_mondays(project, monkeypatch):
    small(monkeypatch, shown=10)
    days = ns("2024-01-01 21:00:00") + DAY * np.arange(63)  # a Monday
    write(project, "bars", "AAPL.XNAS-1-DAY-LAST-EXTERNAL", days, prices=walk(63))
    found = series(project, "bars", "AAPL.XNAS-1-DAY-LAST-EXTERNAL")
    week = found.look((int(days[0]), int(days[-1])))
    assert week.step == 7 * DAY
    assert week.starts[0] == ns("2024-01-01 00:00:00")


def test_bids_and_asks_keep_their_extremes(project, monkeypatch):
    small(monkeypatch, shown=4)
    bids = np.array([100, 90, 120, 110, 105, 101, 99, 130])
    write(project, "quotes", "ES.XCME", START + SECOND * np.arange(8), prices=bids)
    whole = series(project, "quotes", "ES.XCME")
    found = whole.look((START, START + 7 * SECOND)).columns
    assert found["low"].tolist() == [0.9, 1.1, 1.01, 0.99]
    assert found["high"].tolist() == [1.03, 1.23, 1.08, 1.33]
    assert found["bid"].tolist() == [0.9, 1.1, 1.01, 1.3]
    assert found["rows"].tolist() == [2, 2, 2, 2]


def write_books(project):
    """Write order book deltas, and depths of which every third has no bids."""
    from nautilus_trader import model

    from workbench.engine.catalog import encode

    ids = model.InstrumentId.from_str("ES.XCME")
    buy, sell, ten = model.OrderSide.BUY, model.OrderSide.SELL, model.Quantity(10, 0)
    deltas, depths = [], []
    for number in range(30):
        ts, price = START + number * SECOND, 5_000 + number
        order = model.BookOrder(buy, model.Price(price, 2), ten, number)
        deltas.append(model.OrderBookDelta(ids, model.BookAction.ADD, order, 0, number, ts, ts))
        empty = number % 3 == 0
        null = model.BookOrder(model.OrderSide.NO_ORDER_SIDE, model.Price(0, 2),
                               model.Quantity(0, 0), 0)  # fmt: skip
        bids = [null if empty else model.BookOrder(buy, model.Price(price - n, 2), ten, 0)
                for n in range(10)]  # fmt: skip
        asks = [model.BookOrder(sell, model.Price(price + 1 + n, 2), ten, 0) for n in range(10)]
        counts = [0 if empty else 1] * 10
        depths.append(model.OrderBookDepth(ids, bids, asks, counts, [1] * 10, 0, number, ts, ts))
    for kind, found in (("order_book_deltas", deltas), ("order_book_depths", depths)):
        Dataset(project, kind, "ES.XCME").write(
            encode(kind, found), (START, START + 29 * SECOND), provider="databento", source="{}"
        )


def test_order_books(project):
    write_books(project)
    deltas = data.preview("order_book_deltas/ES.XCME", project)
    assert deltas.look().layers["activity"]["top"].sum() == 30
    assert len(deltas.charts(deltas.look())) == 1
    depths = data.preview("ES.XCME depths", project)
    found = depths.look().layers
    assert np.nanmin(found["band"]["bottom"]) == 5_001
    assert found["band"]["top"].max() == 5_030
    assert np.isnan(found["bid"]["bid"]).sum() == 20  # ten snapshots, each a step of two points
    prices = depths.to_dict()
    assert (prices["first"], prices["last"], prices["highest"]) == (5_001, 5_029, 5_030)


def test_rows_out_of_order_are_put_in_order(project, monkeypatch):
    small(monkeypatch)
    random = np.random.default_rng(5)
    ts, prices = START + SECOND * np.arange(300), walk(300)
    mixed = random.permutation(300)
    write(project, "trades", "BTCUSDT.BINANCE", ts[mixed], prices=prices[mixed])
    whole = series(project)
    assert (np.diff(whole.overview.starts) > 0).all()
    assert whole.overview.columns["rows"].sum() == 300
    assert whole.overview.columns["high"].max() == prices.max() / 100
    assert (whole.start, whole.end) == (ts[0], ts[-1])


def test_what_was_read_is_not_read_again(project, monkeypatch):
    small(monkeypatch)
    write(project, "bars", MINUTES, START + MINUTE * np.arange(1, 2_001), prices=walk(2_000))
    whole = series(project, "bars", MINUTES)
    read = []
    batches = buckets._row_batches
    monkeypatch.setattr(
        buckets, "_row_batches", lambda *given: read.append(given) or batches(*given)
    )
    near = START + 500 * MINUTE, START + 515 * MINUTE
    assert not whole.is_at_once(near)
    whole.look(near)
    assert len(read) == 1
    moved = near[0] + 5 * MINUTE, near[1] + 5 * MINUTE
    assert whole.is_at_once(moved)
    whole.look(moved)
    whole.look(whole.overview.span)
    assert len(read) == 1


def test_only_the_row_groups_in_sight_are_read(project, monkeypatch):
    write(project, "trades", "BTCUSDT.BINANCE", START + SECOND * np.arange(250_000))
    (file,) = Dataset(project, "trades", "BTCUSDT.BINANCE").good()
    monkeypatch.setattr(buckets, "_BATCH", 10**6)
    early = START, START + 10 * SECOND
    (rows,) = list(buckets._row_batches(file, ["ts_init"], early))
    assert rows.num_rows == 100_000


def test_a_file_that_cannot_be_read_is_named(project):
    file = write(project, "bars", MINUTES, START + MINUTE * np.arange(1, 5_001), prices=walk(5_000))
    content = bytearray(file.path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.path.write_bytes(content)
    with pytest.raises(DataError, match=file.path.name):
        data.preview(MINUTES, project)


def test_reading_tells_how_far_it_is_and_can_be_stopped(project):
    write(project, "trades", "BTCUSDT.BINANCE", START + SECOND * np.arange(150_000))
    told = []
    data.preview("BTCUSDT.BINANCE", project, on_progress=told.append)
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].fraction == 1
    assert len(told) > 1
    with pytest.raises(Cancelled):
        data.preview("BTCUSDT.BINANCE", project, should_stop=lambda: True)


@pytest.mark.parametrize(
    "name",
    [
        MINUTES,
        f"bars/{MINUTES}",
        "GBP/USD.SIM 1-MINUTE-BID",
        "GBP/USD.SIM-1-MINUTE-BID",
        "GBP/USD.SIM",
    ],
)
def test_names_of_a_dataset(project, name):
    write(project, "bars", MINUTES, START + MINUTE * np.arange(1, 9))
    write(project, "trades", "BTCUSDT.BINANCE", START + SECOND * np.arange(9))
    assert pictures.find(name, project) == Dataset(project, "bars", MINUTES)


def test_names_that_are_none(project):
    with pytest.raises(InputError, match=r"is empty.*workbench data fetch"):
        data.preview("AAPL.XNAS", project)
    write(project, "trades", "BTCUSDT.BINANCE", START + SECOND * np.arange(9))
    write(project, "quotes", "BTCUSDT.BINANCE", START + SECOND * np.arange(9))
    with pytest.raises(InputError, match=r"Did you mean 'trades/BTCUSDT.BINANCE'"):
        data.preview("trades/BTCUSD.BINANCE", project)
    with pytest.raises(InputError, match=r"quotes/BTCUSDT.BINANCE, trades/BTCUSDT.BINANCE. Name"):
        data.preview("BTCUSDT.BINANCE", project)
    write(project, "trades", "ETHUSDT.BINANCE", [], interval=(START, START + DAY))
    with pytest.raises(DataError, match=r"no row of ETHUSDT.BINANCE trades"):
        data.preview("ETHUSDT.BINANCE", project)


KINDS = {
    "bars": MINUTES, "quotes": "ES.XCME", "trades": "BTCUSDT.BINANCE",
    "order_book_deltas": "ES.XCME", "order_book_depths": "ES.XCME",
}  # fmt: skip


@pytest.fixture
def every_kind(project):
    ts = START + MINUTE * np.arange(1, 301)
    for kind in ("bars", "quotes", "trades"):
        write(project, kind, KINDS[kind], ts, prices=walk(300))
    write_books(project)
    return project


@pytest.mark.parametrize("kind", KINDS)
def test_both_backends_draw_every_kind(every_kind, kind, tmp_path):
    picture = data.preview(f"{kind}/{KINDS[kind]}", every_kind)
    assert picture.save(tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    drawn = picture.draw(dark=True)
    assert len(drawn.figures) == (1 if kind == "order_book_deltas" else 2)
    assert f"{picture.series.rows} " in drawn.figures[0].title.text
    first, last = picture.span
    view = picture.look((first, first + (last - first) // 3))
    drawn.show(view)
    for name, columns in view.layers.items():
        shown = drawn._sources[name].data
        assert {len(values) for values in shown.values()} == {len(next(iter(columns.values())))}
    assert drawn.figures[0].y_range.end == view.heights[0][1]
    # Where there is nothing the axis stays, and an empty view is no error.
    beyond = picture.span[1] + 100 * DAY, picture.span[1] + 101 * DAY
    drawn.show(picture.look(beyond))
    assert drawn.figures[0].y_range.end == view.heights[0][1]


def test_one_row_is_a_picture_too(project):
    write(project, "trades", "BTCUSDT.BINANCE", [START])
    picture = data.preview("BTCUSDT.BINANCE", project)
    (low, high), _ = picture.look().heights
    assert low < 100 < high
    assert "1 trades" not in picture.draw().figures[0].title.text


def test_an_element_is_for_the_backend_in_use(project):
    write(project, "bars", MINUTES, START + MINUTE * np.arange(1, 301), prices=walk(300))
    hv, picture = holoviews(), data.preview(MINUTES, project)
    before = hv.Store.current_backend
    try:
        for backend in ("bokeh", "matplotlib"):
            hv.Store.set_current_backend(backend)
            assert hv.render(picture.element(), backend=backend) is not None
    finally:
        hv.Store.set_current_backend(before)


def test_a_notebook_without_panel_shows_an_image(project, monkeypatch):
    write(project, "bars", MINUTES, START + MINUTE * np.arange(1, 301), prices=walk(300))
    shown = data.preview(MINUTES, project)._repr_mimebundle_()
    assert shown["image/png"].startswith(b"\x89PNG")
    assert "GBP/USD.SIM 1-MINUTE-BID" in shown["text/plain"]


def test_the_command(project, workbench, tmp_path):
    write(project, "bars", MINUTES, START + MINUTE * np.arange(1, 301), prices=walk(300))
    answer = workbench("data", "preview", "GBP/USD.SIM", "--save", "pictures/gbp.html")
    assert answer.code == 0
    assert "GBP/USD.SIM 1-MINUTE-BID: 300 rows" in answer.out
    assert "2024-01-02T00:01:00Z to 2024-01-02T05:00:00Z" in answer.out
    assert set(answer.out.splitlines()[-1]) <= set("▁▂▃▄▅▆▇█ ")
    assert "each candle 1 minute" in (project.root / "pictures" / "gbp.html").read_text()
    found = workbench("data", "preview", "GBP/USD.SIM", "--json").json
    prices = walk(300)
    assert found["last"] == prices[-1] / 100
    assert found["highest"] == (prices.max() + 2) / 100
    refused = workbench("data", "preview", "GBP/USD.SIM", "--save", "x.jpg", "--json")
    assert refused.code == 2
    assert ".html, .png, .svg" in json.loads(refused.out)["errors"][0]["message"]
    assert workbench("data", "preview", "EUR/USD.SIM").code == 2
