"""A real browser, for what only a browser can tell of a page: Debian's Chromium by Playwright."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium: as root, on Debian, run `make services`")
    with api.sync_playwright() as playwright:
        # Without a sandbox, since CI is root; it opens the tests' own pages only.
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(browser: Browser, address: str, **look: Any) -> Iterator[Page]:
    """A page at ``address``, which must have logged no error. It may ask its own server
    alone; a file may ask for nothing.

    look: options of a browser context, such as ``viewport`` and ``color_scheme``.
    """
    faults: list[str] = []
    with browser.new_context(**look) as context:
        page = context.new_page()
        page.on("console", lambda line: line.type == "error" and faults.append(line.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: faults.append(asked.url[:200]))
        page.goto(address)
        yield page
        inside = (address, address.partition("#")[0])
        own = ("data:", "blob:", *re.findall("^https?://[^/]+/", address))  # a server's, all of it
        assert [it for it in faults if it not in inside and not it.startswith(own)] == []
