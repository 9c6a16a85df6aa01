"""Hands every config hostile values in children of its own, and tells which child did not survive.

A panic in NautilusTrader aborts the process: what our checks let through must not reach one.
Prints a line for each death: config, field and value.
"""

import os
import random
import sys
from contextlib import suppress
from typing import Any

from workbench.core.errors import InputError
from workbench.engine import adapters
from workbench.engine.settings import plain, sample
from workbench.engine.stubs import Kind

TEXTS = [
    "", " ", "é", "x" * 5000, "\x01", "http://", "::", "-1", "0x", "9" * 40, "null", "2020-13-01",
    "0x" + "f" * 64, "{", "%s", "../..", "UNKNOWN", "a.b.c", "1-1-1-1", "BTC-USD", "😀", "A-", "-A",
]  # fmt: skip
WHOLE = [-(2**63), -1, 0, 1, 7, 1000, 2**15, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**64 - 1]
NUMBERS = [-1.0, 0.0, 1e308, -1e308, 5e-324, 0.1]
DECIMALS = [-1, "0", "-0", "1e27", "1e28", "1e-30", "1e400", "9" * 60, "1." + "0" * 40 + "1"]
MONEY = ["0 USD", "-1 USD", "9" * 29 + " USD", "1.123456789012345 BTC", "17014118346046 USD"]
WORDS = ["A-1", "a-", "-a", "--", "A.B", "A", "!", ".", "..", "A..B", "~", "*", "A/B.C", "x" * 100]


def hostile(kind: Kind) -> list[Any]:
    """Return values of the right type that a constructor might not survive."""
    match kind.what:
        case "text" | "path":
            return TEXTS
        case "flag":
            return [True, False]
        case "whole":
            return WHOLE
        case "number":
            return NUMBERS
        case "decimal":
            return DECIMALS
        case "choice":
            return list(kind.choices)
        case "value":
            return MONEY if kind.name == "Money" else WORDS
        case "list" | "set":
            inner = hostile(kind.items[0])
            return [[], *([item] for item in inner), inner]
        case "pair":
            return [[item] * len(kind.items) for item in hostile(kind.items[0])]
        case "mapping":
            return [{}, *({"": item} for item in hostile(kind.items[0]))]
        case "group":
            base = sample(kind)
            keys = [(key.name, value) for key in kind.fields for value in hostile(key.kind)]
            return [base, *({**base, key: value} for key, value in keys)]
        case _:
            return [{}, [], "x", 1, [1], {"a": [1, {"b": None}]}]


def survives(name: str, config: adapters.Config, settings: list[dict[str, Any]]) -> bool:
    """Build a config of each in a child; also read back every field."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = 1
        try:
            for chosen in settings:
                use(name, config, chosen)
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def use(name: str, config: adapters.Config, settings: dict[str, Any]) -> None:
    keys = {item.name: "secret" for item in config.credentials}
    public = {key: value for key, value in settings.items() if key not in keys}
    secret = {key: str(value) for key, value in settings.items() if key in keys}
    try:
        made = adapters.build(name, config.side, public, keys | secret)
    except InputError:
        return
    repr(made)
    for item in config.fields:
        if hasattr(made, item.name):
            with suppress(TypeError):  # a study cannot hold it
                plain(item.kind, getattr(made, item.name))


def main(rounds: int) -> None:
    chance = random.Random(1)
    for name, config in [(n, side) for n in adapters.names() for side in adapters.adapter(n).sides]:
        required = {item.name: sample(item.kind) for item in config.fields if item.required}
        values = {item.name: hostile(item.kind) for item in config.fields}
        single = [required | {key: value} for key in values for value in values[key]]
        mixed = [
            required | {key: chance.choice(values[key]) for key in values if chance.random() < 0.3}
            for _ in range(rounds)
        ]
        if not survives(name, config, single + mixed):
            for settings in single + mixed:
                if not survives(name, config, [settings]):
                    print(config.name, settings, flush=True)
    print("done")


if __name__ == "__main__":
    main(int(sys.argv[1]))
