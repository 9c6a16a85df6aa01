"""History that exchanges serve to anybody: bars, trades and instruments.

`session` asks a `service` over HTTP: paced, repeated where that helps, cancelled at once.
`provider` is what the exchanges have in common, `columns` turns their decimal strings into rows,
`walks` pages through trades. Each of the other modules knows one exchange.

NautilusTrader's own HTTP clients are not what asks for rows. Measured with 2.0.0rc6: they drop a
row they cannot parse and round a price with a log line at most, return one page of Kraken's trades
as if it were all, stop after 100 pages (Bybit) or 500 (OKX), do not heed ``Retry-After``, stamp
bars of OKX and Kraken at their open and take days in Hong Kong's time from OKX. The tests compare
with their rows where they agree; their parsers make the instruments (`workbench.engine.listings`).
"""
