"""Debian's chromium, driven by Playwright, on pages that may not complain.

Every page made here records what a good page never does: an error on the console, an exception, a
violation of the content security policy, a request to another origin. The test fails for it.
"""

from __future__ import annotations

import mimetypes
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is missing: make install"
)
from playwright.sync_api import (  # noqa: E402  (after the check that it is there)
    Browser,
    Page,
    Route,
    sync_playwright,
)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SITE = "http://pages.test"
WEB = Path(__file__).parents[2] / "src" / "pyeino" / "server" / "web"
MODELS = {
    "object": "list",
    "data": [
        {"id": "default", "pyeino": {"provider": "stub", "local": True}},
        {"id": "Small-135M", "pyeino": {"provider": "stub", "local": True}},
    ],
}
CSP = "default-src 'self'"
WAIT_SECONDS = 90.0


@dataclass(slots=True, kw_only=True)
class Watch:
    """What a page did that it should not have done; `expected` errors are taken out."""

    origin: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """Record the errors and the foreign requests of `page`."""
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("request", lambda request: self._request(request.url))

    def _console(self, kind: str, text: str) -> None:
        if kind == "error" and not any(part in text for part in self.expected):
            self.complaints.append(f"console: {text}")

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self.origin and parts.scheme != "about":
            self.complaints.append(f"another origin: {url}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running `pyeino serve`."""

    url: str
    log: Path

    def get(self, path: str) -> str:
        """The body of GET `path`."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless chromium; the test is skipped where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("chromium is missing: apt-get install -y chromium")
    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
        yield launched
        launched.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def watch() -> Watch:
    """What must not happen on the pages of this test."""
    return Watch(origin=SITE)


@pytest.fixture
def open_page(browser: Browser, watch: Watch) -> Iterator[OpenPage]:
    """Open pages in contexts of their own; afterwards no page may have complained."""
    contexts = []

    def open_one(url: str, *, width: int = 1200, height: int = 800, scheme: str = "light") -> Page:
        watch.origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_SECONDS * 1000)
        watch.follow(page)
        if watch.origin == SITE:
            page.route(f"{SITE}/**", _serve_file)
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert watch.complaints == []


def _serve_file(route: Route) -> None:
    """Answer from the package's own files, under the server's content security policy."""
    path = urlsplit(route.request.url).path
    if path == "/v1/models":
        route.fulfill(json=MODELS)
        return
    if path == "/api/v1/sessions":
        route.fulfill(json={"items": []})
        return
    name = {"/": "index.html", "/docs": "docs.html"}.get(path, path.rsplit("/", 1)[-1])
    file = WEB / name
    if not file.is_file():
        route.fulfill(status=404, body="")
        return
    media = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {"content-security-policy": CSP, "x-content-type-options": "nosniff"}
    route.fulfill(body=file.read_bytes(), content_type=media, headers=headers)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    local_model: Path,  # fetched before the server is asked to load it
) -> Iterator[Server]:
    """`pyeino serve` with the real local model and a database of its own."""
    folder = tmp_path_factory.mktemp("server")
    port = _free_port()
    log = folder / "log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYEINO_")},
        "PYEINO_DATABASE__URL": f"sqlite:///{folder / 'pyeino.db'}",
        "PYEINO_SERVER__PORT": str(port),
        "PYEINO_LLM__MAX_TOKENS": "400",  # a small model may not find its end
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pyeino", "serve"],
            env=environment,
            stdout=output,
            stderr=output,
            cwd=folder,
        )
    try:
        running = Server(url=f"http://127.0.0.1:{port}", log=log)
        _wait_until_ready(running, process)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            server.get("/ready")
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the server is not ready:\n{server.log.read_text()[-4000:]}")
