"""Measure every claim of speed on this machine: ``python -m benchmarks [NAME ...]``.

Prints one JSON line for each and ends with exit code 1 if a claim does not hold here.
"""

import importlib
import json
import sys

NAMES = (
    "startup",
    "import_bars",
    "import_dbn",
    "run_overhead",
    "chart_1m",
    "chart_fills",
    "dashboard_paint",
    "dashboard_live",
    "live_latency",
    "live_node",
    "gateway_reads",
    "gateway_orders",
    "gateway_events",
)


def main(names: list[str]) -> int:
    """Run the named benchmarks, all by default."""
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"no benchmark {', '.join(unknown)}. Allowed: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    holds = True
    for name in names or NAMES:
        result = importlib.import_module(f"benchmarks.{name}").main()
        print(json.dumps({"benchmark": name, **result}), flush=True)
        holds = holds and bool(result["holds"])
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
