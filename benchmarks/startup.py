"""How long until the command answers: ``import workbench`` and ``workbench --help``.

Each is a fresh interpreter, by turns with one that does nothing; the median of several counts. The
claim: under 0.3 s.
"""

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 11
LIMIT_SECONDS = 0.3

COMMANDS = {
    "bare_s": ["-c", "pass"],
    "import_s": ["-c", "import workbench"],
    "help_s": ["-m", "workbench", "--help"],
}


def main(rounds: int = ROUNDS) -> dict[str, object]:
    """Return the medians in seconds and whether the claim holds."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            times[name].append(time.perf_counter() - started)
    medians = {name: round(statistics.median(values), 4) for name, values in times.items()}
    holds = max(medians["import_s"], medians["help_s"]) < LIMIT_SECONDS
    return {
        **medians,
        "help_over_bare": round(medians["help_s"] / medians["bare_s"], 1),
        "holds": holds,
    }


if __name__ == "__main__":
    print(json.dumps(main()))
