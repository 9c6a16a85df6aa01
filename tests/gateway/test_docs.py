"""The examples of docs/gateway.md are run as they stand."""

import json
import re

from tests.conftest import ROOT
from workbench import live
from workbench.backtest import RunStore
from workbench.gateway import Tokens

TEXT = (ROOT / "docs" / "gateway.md").read_text()


def test_the_client_example(served) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (scopes,) = re.findall(r"create desk --scope (\w+) --scope (\w+)", TEXT)
    token = Tokens(served.project).create("desk", scopes)[1]
    names = {"url": served.url, "token": token}
    try:
        exec(compile(block, "docs/gateway.md", "exec"), names)
    finally:
        for node in live.nodes(served.project):
            if node.running:
                node.kill()
    assert names["found"] == {"valid": True, "errors": []}
    assert RunStore(served.project).get(names["run"]["run_id"]).status == "done"
    assert (names["event"]["type"], names["event"]["reason"]) == ("risk.halted", "lunch")
    assert live.node("ema-cross", served.project).state()["state"] == "STOPPED"


def test_every_call_of_the_description_is_in_the_table() -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    nouns = {path.split("/")[1] for path in paths} - {"health", "whoami"}
    table = set(re.findall(r"`/([a-z]+)", TEXT))
    assert nouns <= table
    assert all(f"--{option}" in TEXT for option in ("name", "root-path", "proxy", "certificate"))
