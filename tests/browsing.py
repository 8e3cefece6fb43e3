"""What the tests that open pages share: how to start a browser, and a visit that notes everything that goes wrong."""

import pytest
from book_files import chromium

browser_only = pytest.mark.skipif(
    chromium() is None, reason="no Chromium on this machine: install it or name it in BNLAB_CHROMIUM"
)
# What Chromium would otherwise ask of the network by itself.
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


def visit(context, url):
    """Open a page and wait for its equations; return it with everything that went wrong."""
    troubles = []
    page = context.new_page()
    page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("requestfailed", lambda request: troubles.append(f"not loaded: {request.url[:120]}"))
    page.goto(url, wait_until="load")
    page.evaluate("() => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true")
    return page, troubles


def violations(view, within: str = "html") -> list[str]:
    """Scan a part of a page for what WCAG A and AA forbid, colours included."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": ["wcag2a", "wcag2aa"], "preload": False}  # it would read style sheets, which file:// forbids
    found = Axe().run(view, context=within, options=options).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:150]}" for v in found]
