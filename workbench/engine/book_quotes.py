"""Quotes from an order book: its best prices whenever they change.

The engine's risk check prices a market order by the last quote, trade or bar of its instrument; it
does not look into books. Where a study has nothing but a book of an instrument, its best prices are
handed over as quotes too. The simulated book is not touched by them: it is deeper than one level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nautilus_trader.model import BookType, OrderBook, QuoteTick


def quotes(kind: str, objects: Sequence[Any], book_type: str) -> list[Any]:
    """Return the best prices of a book as quotes, one for each change.

    Parameters
    ----------
    kind
        ``order_book_deltas`` or ``order_book_depths``.
    objects
        The engine's, in order of time.
    book_type
        Of the simulated book, such as ``L2_MBP``.

    Returns
    -------
    list[QuoteTick]
        With the times of the changes; none while a side is empty.

    """
    book = OrderBook(objects[0].instrument_id, BookType.from_str(book_type))
    found: list[Any] = []
    last: tuple[Any, ...] = ()
    for number, item in enumerate(objects):
        if kind == "order_book_depths":
            book.apply_depth(item)
        else:
            book.apply_delta(item)
            following = number + 1 < len(objects) and objects[number + 1].ts_init == item.ts_init
            if following:  # one message of the venue's in several rows: between them is no book
                continue
        bid, ask = book.best_bid_price(), book.best_ask_price()
        bid_size, ask_size = book.best_bid_size(), book.best_ask_size()
        if bid is None or ask is None or bid_size is None or ask_size is None:
            continue
        best = (bid, ask, bid_size, ask_size)
        if best != last:
            found.append(
                QuoteTick(
                    item.instrument_id, bid, ask, bid_size, ask_size, item.ts_event, item.ts_init
                )
            )
            last = best
    return found
