"""From a dashboard that has just come up to its first view on the screen.

`workbench dashboard` is started on a project with a few runs; as soon as it says its address, a
headless Chromium that is already running opens it: nobody has looked before, every round is a new
server. Measured to the moment the overview's figures stand on the page. Beside it stands the same
page opened a second time. The claim: the first is there in under 2 s.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLAIM_S = 2.0


def main(rounds: int = 3) -> dict[str, object]:
    """Measure; return the figures in seconds."""
    from playwright.sync_api import sync_playwright

    from workbench import backtest
    from workbench.core.project import Project

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return {"error": "needs Chromium: apt-get install chromium", "holds": False}
    firsts: list[float] = []
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder)
        shutil.copytree(ROOT / "studies", root / "studies")
        (root / ".gateway").mkdir()
        for _ in range(3):
            backtest.run(root / "studies" / "ema-cross.yaml", project=Project(root))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(rounds):
            process = subprocess.Popen(
                [sys.executable, "-m", "workbench", "dashboard", "--port", "0"],
                cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            try:
                assert process.stdout is not None
                url = process.stdout.readline().strip()
                for times in (firsts, seconds):
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    began = time.perf_counter()
                    page.goto(url)
                    page.locator(".tile:visible").first.wait_for()
                    times.append(time.perf_counter() - began)
                    page.close()
            finally:
                process.terminate()
                process.wait()
        browser.close()
    first, second = statistics.median(firsts), statistics.median(seconds)
    return {
        "first_paint_s": round(first, 2),
        "slowest_s": round(max(firsts), 2),
        "second_visit_s": round(second, 2),
        "ratio": round(first / second, 1),
        "holds": first < CLAIM_S,
    }


if __name__ == "__main__":
    print(json.dumps(main()))
