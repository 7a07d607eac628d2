"""The real app on a free port, in Chromium; skipped with the reason where no browser is found."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from core.jobs import stop_supervisor

ROOT = Path(__file__).parents[2]
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE_S = 60


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def app(small, tmp_path_factory):
    """Address of a fresh server on a copy of the small workspace; nothing was asked of it yet."""
    folder = tmp_path_factory.mktemp("browser") / "ws"
    shutil.copytree(small.root, folder)
    port, log = _free_port(), folder.parent / "app.log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    env = os.environ | {"WINNOW_WORKSPACE": str(folder), "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("wb") as out:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
        stop_supervisor(type(small)(folder, None))


def _wait(address, server, log):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"the app did not start:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def chromium():
    """A headless browser."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on the PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(app, chromium):
    """Opens a page of the app by its address; remembers what the server sent and what went wrong."""
    contexts = []

    def open_page(path, scheme="light", width=1280):
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.received, page.faults = [], []
        page.on("websocket", lambda ws: ws.on("framereceived", lambda frame: page.received.append(frame)))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(f"{app}/{path}?pool=small")
        page.wait_for_selector("h1")
        return page

    yield open_page
    for context in contexts:
        context.close()
