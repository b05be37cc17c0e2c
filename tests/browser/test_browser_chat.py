"""The pages as a newcomer meets them: the real server, the small local model, a real browser.

Set PYEINO_SCREENSHOT=path to keep a picture of a conversation.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]

STORY = "Write a long story about an old lighthouse, with many paragraphs."
PATIENCE_MS = 90_000

# Notes the lengths that the newest answer passes through.
NOTE_LENGTHS = """() => {
  window.lengths = [];
  const transcript = document.getElementById("transcript");
  const note = () => {
    const prose = transcript.querySelector(".answer:last-child .prose");
    const length = prose ? prose.textContent.length : 0;
    if (length > (window.lengths.at(-1) ?? 0)) window.lengths.push(length);
  };
  new MutationObserver(note).observe(transcript, { childList: true, subtree: true });
}"""


@pytest.fixture(autouse=True)
def patient() -> None:
    """Let expectations wait as long as a small model on a busy machine may need."""
    expect.set_options(timeout=PATIENCE_MS)


def ask(page: Page, text: str) -> None:
    page.fill("#message", text)
    page.keyboard.press("Enter")


def wait_for_text(page: Page, count: int = 1) -> None:
    """Wait until the newest of `count` answers shows more than a few characters."""
    page.wait_for_function(
        """(count) => {
          const answers = document.querySelectorAll(".answer .prose");
          return answers.length === count && answers[count - 1].textContent.length > 3;
        }""",
        arg=count,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < until, "this did not come true"
        time.sleep(0.1)


def run_curl(command: str) -> int:
    """The status that the request of a curl command gets; only what our commands use is known."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words.pop(0) == "curl"
    assert words.pop(0) in {"-s", "-sN"}
    method = None
    if words[0] == "-X":
        method = words[1]
        del words[:2]
    url, headers, body = words.pop(0), {}, None
    while words:
        flag, value = words.pop(0), words.pop(0)
        if flag == "-H":
            name, _, text = value.partition(": ")
            headers[name] = text
        else:
            assert flag == "-d", command
            body = value.encode()
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_MS / 1000) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def gauge(text: str, name: str) -> float:
    """The sum of the samples of `name` in a metrics page."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


def test_a_question_is_answered_as_a_stream(open_page: OpenPage, server: Any) -> None:
    page = open_page(server.url, width=1200, height=860)
    expect(page.locator("#banner")).to_contain_text("expect nonsense")
    page.evaluate(NOTE_LENGTHS)
    ask(page, "Give me three tips for learning Python.")
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator(".answer .meta")).to_have_text(
        re.compile(r"^\d+ tokens · \d+(\.\d)? s · \d+ tokens/s · ")
    )
    assert len(page.evaluate("window.lengths")) >= 2, "the text did not stream in"
    assert page.inner_text(".answer .prose").strip()
    expect(page.locator("#send")).to_be_visible()
    expect(page.locator("#stop")).to_be_hidden()
    if picture := os.environ.get("PYEINO_SCREENSHOT"):
        page.screenshot(path=picture)


def test_an_answer_is_stopped_and_the_server_is_free_again(
    open_page: OpenPage, server: Any
) -> None:
    page = open_page(server.url)
    for number, stop in enumerate(
        (lambda: page.click("#stop"), lambda: page.keyboard.press("Escape"))
    ):
        ask(page, STORY)
        wait_for_text(page, number + 1)
        stop()
        expect(page.locator(".answer .meta").nth(number)).to_contain_text("Stopped")
        expect(page.locator("#send")).to_be_visible()
    assert json.loads(server.get("/ready"))
    wait_until(lambda: gauge(server.get("/metrics"), "eino_queue_length") == 0)
    ask(page, "Say hello.")
    expect(page.locator(".answer .meta").nth(2)).to_contain_text("tokens")


def test_an_answer_is_stopped_before_its_first_word(open_page: OpenPage, server: Any) -> None:
    page = open_page(server.url)
    ask(page, "word " * 1_000)
    expect(page.locator("#stop")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".answer .meta")).to_contain_text("Stopped")
    page.click("#new-chat")
    ask(page, "Say hello.")
    expect(page.locator(".answer .meta")).to_contain_text("tokens")


def test_a_refused_request_says_why(open_page: OpenPage, server: Any, watch: Any) -> None:
    watch.expected.append("400")
    page = open_page(server.url)
    ask(page, "too many words " * 4_000)
    failure = page.locator(".failure")
    expect(failure).to_contain_text("CONTEXT_LENGTH_EXCEEDED")
    expect(failure).to_contain_text("start a new chat")
    page.get_by_role("button", name="Edit the message").click()
    expect(page.locator("#message")).to_have_value(re.compile("^too many words"))


def test_the_model_is_given_the_conversation_until_a_new_chat(
    open_page: OpenPage, server: Any
) -> None:
    page = open_page(server.url)
    usage: list[int] = []

    def answered(number: int) -> None:
        expect(page.locator(".answer .meta").nth(number)).to_contain_text("tokens")
        kept = page.evaluate("JSON.parse(sessionStorage.getItem('pyeino.conversation'))")
        usage.append(kept["turns"][-1]["totals"]["token_usage"]["prompt_tokens"])

    ask(page, "Say hello.")
    answered(0)
    ask(page, "Say hello.")
    answered(1)
    page.click("#new-chat")
    expect(page.locator(".message")).to_have_count(0)
    ask(page, "Say hello.")
    answered(0)
    first, second, fresh = usage
    assert second > first
    assert fresh == first


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_phone_shows_everything(open_page: OpenPage, server: Any, scheme: str) -> None:
    page = open_page(server.url, width=360, height=640, scheme=scheme)
    expect(page.locator("#banner")).to_be_visible()
    page.click("summary")
    ask(page, STORY)
    wait_for_text(page)
    page.click("#stop")
    expect(page.locator(".answer .meta")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for selector in ("#message", "#send", "#new-chat"):
        box = page.locator(selector).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["y"] + box["height"] <= 640


def test_the_api_page_shows_every_route(open_page: OpenPage, server: Any) -> None:
    described = json.loads(server.get("/openapi.json"))
    page = open_page(f"{server.url}/docs")
    page.wait_for_selector("article")
    text = page.inner_text("#content")
    for path in described["paths"]:
        assert path in text
    assert page.locator("article .code").count() >= len(described["paths"])
    chat = page.locator("#post-api-v1-chat")
    expect(chat).to_contain_text(f"curl -s {server.url}/api/v1/chat")
    expect(chat).to_contain_text("user_id")
    chat.locator("summary").first.click()
    expect(chat).to_contain_text("message_id")
    socket = page.locator("#get-api-v1-ws")
    expect(socket).to_contain_text("Taken: ChatFrame, MultiTurnFrame, CancelFrame, PingFrame")
    expect(socket.locator(":scope > .code")).to_have_count(0)
    made = f"-H 'content-type: application/json' -d '{json.dumps({'session_id': 'my-session'})}'"
    assert run_curl(f"curl -s {server.url}/api/v1/sessions {made}") == 201
    for command in page.locator("article > .code code").all_inner_texts():
        assert run_curl(command) in {200, 201, 204}, command
    page.fill("#filter", "stream")
    expect(page.locator("#index li:visible")).not_to_have_count(len(described["paths"]))
    page.set_viewport_size({"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
