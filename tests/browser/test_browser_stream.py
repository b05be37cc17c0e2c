"""What the chat page makes of each way that an answer can begin, break and end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

SITE = "http://pages.test/"
STREAM = "**/api/v1/chat/stream"

PARSE = """async (pieces) => {
  const { EventStreamParser } = await import("/static/sse.js");
  const parser = new EventStreamParser();
  return pieces.flatMap((piece) => parser.push(piece));
}"""

OpenPage = Callable[..., Page]


def chunk(seq: int, delta: str, **more: Any) -> str:
    return (
        f"id: {seq}\ndata: {json.dumps({'message_id': 'm', 'seq': seq, 'delta': delta} | more)}\n\n"
    )


END = chunk(
    2,
    "",
    finish_reason="stop",
    token_usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    metadata={"model": "Small-135M"},
    process_time=0.5,
)
WHOLE = ": hi\n\n" + chunk(0, "Hello ") + chunk(1, "**you**") + END + "event: done\ndata: {}\n\n"


class Answers:
    """Answers the page's requests in turn; the last one again and again."""

    def __init__(self, page: Page, *answers: dict[str, Any] | str) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answers = list(answers)
        page.route(STREAM, self._answer)

    def _answer(self, route: Route) -> None:
        self.requests.append(route.request.post_data_json)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, str):
            route.fulfill(body=answer, content_type="text/event-stream")
        else:
            route.fulfill(**answer)


def refusal(status: int, code: str, message: str, **headers: str) -> dict[str, Any]:
    error = {"type": "x", "code": code, "message": message}
    body = {"title": "x", "status": status, "detail": message, "error": error}
    return {
        "status": status,
        "json": body,
        "headers": {k.replace("_", "-"): v for k, v in headers.items()},
    }


def ask(page: Page, text: str = "Hi") -> None:
    page.fill("#message", text)
    page.keyboard.press("Enter")


def test_events_are_the_same_however_they_are_cut(open_page: OpenPage) -> None:
    page = open_page(SITE)
    text = (
        "\ufeff: a comment\n\nid: 1\r\ndata: a\r\ndata:b\r\n\r\nevent: x\rdata\r\r"
        "retry: 5\nother\nid\ndata:  c: d\n\nevent: lost\n\ndata: unfinished"
    )
    expected = [
        {"id": "1", "event": "message", "data": "a\nb"},
        {"id": "1", "event": "x", "data": ""},
        {"id": "", "event": "message", "data": " c: d"},
    ]
    assert page.evaluate(PARSE, [text]) == expected
    assert page.evaluate(PARSE, list(text)) == expected
    for cut in range(len(text)):
        assert page.evaluate(PARSE, [text[:cut], text[cut:]]) == expected


def test_an_answer_shows_its_text_and_totals(open_page: OpenPage) -> None:
    page = open_page(SITE)
    answers = Answers(page, WHOLE)
    ask(page, "  Hi there  ")
    expect(page.locator(".answer .meta")).to_have_text("2 tokens · 0.5 s · 4 tokens/s · Small-135M")
    assert page.locator(".answer .prose").inner_html() == "<p>Hello <strong>you</strong></p>"
    expect(page.locator("#status")).to_contain_text("Answer complete")
    ask(page, "Again")
    expect(page.locator(".answer .meta")).to_have_count(2)
    first, second = answers.requests
    assert first["message"] == "Hi there"
    assert first["options"] == {"history": "session"}
    assert first["user_id"]
    assert first["session_id"] == second["session_id"]


def test_the_banner_says_which_model_answers(open_page: OpenPage) -> None:
    page = open_page(SITE)
    banner = page.locator("#banner")
    expect(banner).to_contain_text(
        "Small-135M answers: a 135 M-parameter model for trying pyeino only: expect nonsense."
    )
    page.click("summary")
    for line in ("PROVIDER=openai", "API_KEY=", "MODEL=", "BASE_URL"):
        expect(banner).to_contain_text(f"PYEINO_LLM__{line}")
    expect(banner).to_contain_text("make run")


def test_empty_input_is_not_sent(open_page: OpenPage) -> None:
    page = open_page(SITE)
    answers = Answers(page, WHOLE)
    expect(page.locator("#send")).to_be_disabled()
    ask(page, "  \n ")
    expect(page.locator("#send")).to_be_disabled()
    page.fill("#message", "one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.click("#send")
    expect(page.locator(".bubble")).to_have_text("one\ntwo")
    expect(page.locator(".answer .meta")).to_be_visible()
    assert [request["message"] for request in answers.requests] == ["one\ntwo"]


def test_a_huge_paste_is_folded_and_sent_whole(open_page: OpenPage) -> None:
    page = open_page(SITE, width=360)
    answers = Answers(page, WHOLE)
    text = "many words " * 50_000
    page.fill("#message", text)
    expect(page.locator("#size")).to_have_text("550,000 characters")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .meta")).to_be_visible()
    assert answers.requests[0]["message"] == text.strip()
    assert len(page.inner_text(".bubble")) < 2_000
    page.click("text=Show all")
    assert len(page.inner_text(".bubble")) == len(text.strip())


def test_a_busy_server_is_asked_again_after_the_time_it_gave(
    open_page: OpenPage, watch: Any
) -> None:
    watch.expected.append("503")
    page = open_page(SITE)
    answers = Answers(page, refusal(503, "QUEUE_FULL", "The queue is full", retry_after="2"), WHOLE)
    ask(page)
    failure = page.locator(".failure")
    expect(failure).to_contain_text("The queue is full")
    expect(failure).to_contain_text("QUEUE_FULL")
    expect(failure).to_contain_text("Wait a little")
    button = failure.get_by_role("button")
    expect(button).to_be_disabled()
    expect(button).to_contain_text("Retry in")
    expect(button).to_be_enabled()
    button.click()
    expect(page.locator(".answer .meta")).to_be_visible()
    expect(failure).to_have_count(0)
    assert page.locator(".question").count() == 1
    assert answers.requests[0] == answers.requests[1]


def test_a_message_that_has_to_change_comes_back_into_the_field(
    open_page: OpenPage, watch: Any
) -> None:
    watch.expected.append("400")
    page = open_page(SITE)
    Answers(page, refusal(400, "CONTEXT_LENGTH_EXCEEDED", "Too long: 9 of 8 tokens"))
    ask(page, "Something long")
    expect(page.locator(".failure")).to_contain_text("Too long: 9 of 8 tokens")
    page.click("text=Edit the message")
    expect(page.locator("#message")).to_have_value("Something long")
    expect(page.locator("#message")).to_be_focused()


BROKEN = {
    "an error frame": (
        chunk(0, "Half ")
        + 'event: error\ndata: {"error": {"code": "SERVER_STOPPED", "message": "Stopped"}}\n\n',
        "SERVER_STOPPED",
    ),
    "no terminal frame": (chunk(0, "Half "), "CONNECTION_LOST"),
    "not JSON": ("data: {oops\n\n", "BAD_FRAME"),
    "an empty body": ("", "CONNECTION_LOST"),
    "a proxy's page": (
        {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
        "HTTP_502",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_breaks_off_says_so(open_page: OpenPage, watch: Any, name: str) -> None:
    watch.expected.append("502")
    page = open_page(SITE)
    answer, code = BROKEN[name]
    Answers(page, answer, WHOLE)
    ask(page)
    expect(page.locator(".failure-code")).to_have_text(code)
    if isinstance(answer, str) and "Half" in answer:
        expect(page.locator(".answer .prose")).to_have_text("Half")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".answer .meta")).to_contain_text("2 tokens")


def test_a_server_that_is_gone_is_named(open_page: OpenPage, watch: Any) -> None:
    watch.expected.append("ERR_CONNECTION_REFUSED")
    page = open_page(SITE)
    page.route(STREAM, lambda route: route.abort("connectionrefused"))
    ask(page)
    expect(page.locator(".failure")).to_contain_text("SERVER_UNREACHABLE")
    expect(page.locator(".failure")).to_contain_text("make run")


def test_a_cancelled_answer_counts_as_stopped(open_page: OpenPage) -> None:
    page = open_page(SITE)
    Answers(page, chunk(0, "Half ") + "event: cancelled\ndata: {}\n\n")
    ask(page)
    expect(page.locator(".answer .meta")).to_contain_text("Stopped")
    expect(page.locator(".answer .prose")).to_have_text("Half")


def test_the_conversation_survives_a_reload_and_ends_with_a_new_chat(open_page: OpenPage) -> None:
    page = open_page(SITE)
    answers = Answers(page, WHOLE)
    ask(page)
    expect(page.locator(".answer .meta")).to_be_visible()
    page.reload()
    expect(page.locator(".bubble")).to_have_text("Hi")
    expect(page.locator(".answer .prose")).to_have_text("Hello you")
    expect(page.locator("#welcome")).to_be_hidden()
    page.click("#new-chat")
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator(".message")).to_have_count(0)
    expect(page.locator("#message")).to_be_focused()
    page.get_by_role("button", name="Show a Python function").click()
    expect(page.locator(".answer .meta")).to_be_visible()
    assert answers.requests[0]["session_id"] != answers.requests[1]["session_id"]


def test_ids_also_exist_without_a_secure_context(open_page: OpenPage) -> None:
    page = open_page(SITE)
    assert page.evaluate("typeof crypto.randomUUID") == "undefined"
    ids = page.evaluate("""async () => {
      const { newId } = await import("/static/dom.js");
      return [newId(), newId()];
    }""")
    assert ids[0] != ids[1]
    assert all(len(one) == 36 and one[14] == "4" and one.count("-") == 4 for one in ids)


def test_code_can_be_copied(open_page: OpenPage) -> None:
    page = open_page(SITE)
    fence = "```python\nprint('hi')\n```"
    Answers(page, chunk(0, fence) + END + "event: done\ndata: {}\n\n")
    ask(page)
    expect(page.locator(".answer .meta")).to_be_visible()
    page.locator(".answer .code").get_by_role("button", name="Copy").click()
    expect(page.locator(".answer .code .copy")).to_have_text("Copied")
    page.fill("#message", "")
    page.keyboard.press("Control+V")
    expect(page.locator("#message")).to_have_value("print('hi')")


def test_it_scrolls_along_only_while_the_reader_is_at_the_end(open_page: OpenPage) -> None:
    page = open_page(SITE, height=500)
    long = chunk(0, "line\n\n" * 60) + END + "event: done\ndata: {}\n\n"
    Answers(page, long)
    ask(page)
    expect(page.locator(".answer .meta")).to_be_in_viewport()
    expect(page.locator("#to-end")).to_be_hidden()
    page.evaluate("document.getElementById('scroller').scrollTop = 0")
    expect(page.locator("#to-end")).to_be_visible()
    page.click("#to-end")
    expect(page.locator(".answer .meta")).to_be_in_viewport()
