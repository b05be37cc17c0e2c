"""The chat page on a server that asks who one is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

KEY = "boot-7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD"
_APP = """
from pyeino.compose import Chain
from pyeino.schema import Message

answer = Chain(list[Message]).then(lambda found: f"You said {found[-1].content}").compile()
"""

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with auth, whose access tokens are good for two seconds only."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "guardedapp.py").write_text(_APP)
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYEINO_")},
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "DATABASE_URL": f"sqlite:///{folder}/p.db",
        "PYEINO_AUTH__ENABLED": "true",
        "PYEINO_AUTH__TOKEN_EXPIRY": "2s",
        "PYEINO_AUTH__JWT_SECRET": "g7Hq2Lw9ZsX4cV8bN1mK5jR3tY6uP0aD",
        "PYEINO_AUTH__BOOTSTRAP_KEY": KEY,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pyeino", "serve", "guardedapp:answer", "--port", "0"],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "pyeino is ready" in line, process.communicate()[1]
    yield line.split()[3]
    process.terminate()
    process.communicate(timeout=60)


def ask(page: Page, message: str) -> None:
    page.locator("#message").fill(message)
    page.locator("#message").press("Enter")


def test_the_page_asks_for_a_key_once_and_renews_its_tokens(
    open_page: OpenPage, watch: Any, url: str
) -> None:
    watch.expected.append("401")  # the browser's own words about each of them
    page = open_page(url)
    dialog = page.locator("dialog.sign-in")
    expect(dialog).to_be_visible()
    dialog.locator("input").fill("pyk_wrong_key")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.locator(".sign-in-trouble")).to_have_text("Invalid API key")
    dialog.locator("input").fill(KEY)
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#banner")).to_contain_text("answers")
    ask(page, "hello")
    expect(page.locator(".answer .prose")).to_contain_text("You said hello")

    kept = page.evaluate("JSON.stringify(sessionStorage)")
    assert "refresh_token" in kept
    assert KEY not in kept
    assert page.evaluate("localStorage.length") == 0

    page.wait_for_timeout(8_000)  # until the token has ended; clocks may differ by five seconds
    with page.expect_response("**/api/v1/auth/refresh") as renewed:
        ask(page, "again")
    assert renewed.value.status == 200
    expect(page.locator(".answer .prose").last).to_contain_text("You said again")

    page.reload()
    expect(page.locator(".session-open").first).to_have_text("hello")
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_have_count(0)
    kept = page.evaluate("JSON.stringify(sessionStorage)")
    assert "token" not in kept
    assert "hello" not in kept


def test_what_the_page_shows_without_credentials_is_nothing_of_anybody(
    open_page: OpenPage, watch: Any, url: str
) -> None:
    watch.expected.append("401")
    page = open_page(url)
    page.locator("dialog.sign-in").get_by_role("button", name="Not now").click()
    expect(page.locator("#sessions-note")).to_contain_text("API key required")
    assert page.locator(".session-open").count() == 0
