"""What differs between two studies."""

from collections.abc import Callable

from workbench.study import Study, diff

Loads = Callable[..., Study]


def test_every_kind_of_change(loads: Loads, full: str) -> None:
    old = loads(full)
    text = full.replace("oms: hedging", "oms: netting").replace(", slow: 50", "")
    text = text.replace("[alert, flatten]", "[alert, halt, flatten]").replace(
        "tags: [a,", "tags: [[a],"
    )
    new = loads(
        text[: text.index("live:")].replace("max_position: {", "max_position: {GBP/USD.SIM: 5, ")
    )
    assert [(change.path, change.kind, change.old, change.new) for change in diff(old, new)] == [
        ("venues.1.oms", "changed", "hedging", "netting"),
        ("strategy.params.slow", "removed", 50, None),
        ("strategy.params.tags.0", "changed", "a", ["a"]),
        ("risk.max_position.GBP/USD.SIM", "added", None, "5"),
        ("risk.on_breach.1", "changed", "flatten", "halt"),
        ("risk.on_breach.2", "added", None, "flatten"),
        ("live", "changed", old.to_dict()["live"], None),
    ]


def test_how_it_is_written_does_not_matter(loads: Loads, full: str) -> None:
    assert diff(loads(full), loads(full.replace("leverage: 20", "leverage: '20.00'"))) == []
    assert (
        diff(loads(full), loads(full.replace("    oms: hedging\n", "    oms: 'hedging'\n"))) == []
    )
