"""Take the screenshots of docs from a finished `make demo`, with Debian's Chromium.

    python docs/make_screenshots.py [--root PROJECT] [--out FOLDER] [NAME ...]

Each is a page as people meet it: the report, MLflow's runs and Compare, the playground with a test
image. All are of the project's own results, so a demo that has changed is shown as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from make_pictures import LARGEST, ROOT, small

if TYPE_CHECKING:
    from playwright.sync_api import Page

OUT = ROOT / "docs" / "screenshots"
SIZE = {"width": 1280, "height": 800}


def report(page: Page, root: Path) -> None:
    """The report's first screen."""
    page.goto((root / "data/reports/report.html").as_uri())


def mlflow(page: Page, root: Path, view: str, chart: bool = False) -> None:
    """MLflow's runs of the demo as a saved view has them."""
    store = f"sqlite:///{root}/mlruns/mlflow.db"
    with contextlib.closing(sqlite3.connect(root / "mlruns/mlflow.db")) as runs:
        tags = "SELECT 1 FROM experiment_tags WHERE key LIKE ?"
        saved = runs.execute(tags, [f"%seglock-{view}"]).fetchone()  # none by earlier versions
    with serving(root, "mlflow", "ui", "--workers", "1", "--backend-store-uri", store) as address:
        shown = "workflowType=machine_learning"
        shown += f"&viewStateShareKey=seglock-{view}" if saved else ""
        shown += "&compareRunsMode=CHART" if chart else ""
        page.goto(f"{address}/#/experiments/1/runs?{shown}")
        page.get_by_role("button", name="Close").click()  # the assistant
        page.get_by_text("matching runs").wait_for()
        page.wait_for_timeout(10_000 if chart else 1000)


def compare(page: Page, root: Path) -> None:
    """The table of the locks' figures in MLflow's Compare."""
    found = sorted((root / "data/models").glob("*/training.json"))
    runs = json.dumps([json.loads(path.read_text())["run_id"] for path in found])
    store = f"sqlite:///{root}/mlruns/mlflow.db"
    with serving(root, "mlflow", "ui", "--workers", "1", "--backend-store-uri", store) as address:
        about = f"runs={runs}&experiments=[%221%22]&workflowType=machine_learning"
        page.goto(f"{address}/#/compare-runs?{about}")
        page.get_by_role("button", name="Close").click()  # the assistant
        page.get_by_text("Metrics", exact=True).last.evaluate("one => one.scrollIntoView()")
        page.wait_for_timeout(1000)


def dashboard(page: Page, root: Path) -> None:
    """The demo's study in optuna-dashboard."""
    (study,) = (root / ".seglock/search").glob("*/study.db")
    with serving(root, "optuna-dashboard", f"sqlite:///{study}") as address:
        page.goto(f"{address}/dashboard/studies/1")
        page.wait_for_timeout(5000)


def playground(page: Page, root: Path) -> None:
    """The playground after one test image."""
    with serving(root, "seglock", "playground") as address:
        page.goto(address, wait_until="networkidle")
        page.locator("table tr").nth(1).click()
        page.get_by_text("⇣").wait_for()  # the mask's size: the example is taken
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("mean IoU 0").first.wait_for()
        page.wait_for_timeout(500)


SHOTS: dict[str, Callable[[Page, Path], None]] = {
    "report": report,
    "mlflow-runs": partial(mlflow, view="locks"),
    "mlflow-trials": partial(mlflow, view="trials", chart=True),
    "mlflow-compare": compare,
    "dashboard": dashboard,
    "playground": playground,
}


@contextlib.contextmanager
def serving(root: Path, *command: str) -> Iterator[str]:
    """A server of the project as a process, on a free port of this machine; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([*command, "--port", str(port)], cwd=root, start_new_session=True)
    try:
        while True:
            with contextlib.suppress(OSError), urlopen(address):
                break
            if process.poll() is not None:
                sys.exit(f"{' '.join(command)} ended with {process.returncode}")
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def main() -> None:
    """Take those that are named, or all; refuse one that is too large for a page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", choices=[[], *SHOTS], metavar="NAME")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project with the results")
    parser.add_argument("--out", type=Path, default=OUT, help="where they go: NAME.png")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    arguments.out.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        # Without a sandbox, so that root can; it opens the project's own pages only.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name in arguments.names or SHOTS:
            page = browser.new_page(viewport=SIZE)
            page.set_default_timeout(120_000)  # MLflow's page is slow beside other work
            SHOTS[name](page, arguments.root.resolve())
            content = small(page.screenshot())
            if len(content) > LARGEST:
                sys.exit(f"{name} must be at most {LARGEST} bytes, got {len(content)}")
            (arguments.out / f"{name}.png").write_bytes(content)
            page.close()


if __name__ == "__main__":
    main()
