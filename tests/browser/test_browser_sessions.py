"""The list of conversations, and what stands under an answer, over stubbed answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

SITE = "http://pages.test/"
MADE = "2026-01-02T03:04:05Z"

OpenPage = Callable[..., Page]


def session(session_id: str, title: str = "") -> dict[str, Any]:
    times = {"created_at": MADE, "updated_at": MADE}
    return {"session_id": session_id, "user_id": "local", "title": title, **times}


def row(position: int, role: str, content: str, **more: Any) -> dict[str, Any]:
    fields = {"message_id": f"m{position}", "session_id": "s", "turn_id": "t"}
    return {
        **fields,
        "position": position,
        "role": role,
        "content": content,
        "status": "completed",
        **more,
    }


class Store:
    """The API of sessions, in memory."""

    def __init__(self, page: Page, *sessions: dict[str, Any]) -> None:
        self.sessions = {one["session_id"]: one for one in sessions}
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.failing: dict[str, int] = {}
        page.route("**/api/v1/sessions**", self._answer)
        page.route("**/api/v1/sessions/**", self._answer)

    def _answer(self, route: Route) -> None:
        request = route.request
        parts = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = unquote(parts.path.removeprefix("/api/v1/sessions").strip("/"))
        self.calls.append((request.method, path, request.post_data_json))
        assert "user_id" not in query  # the caller's own
        session_id = path.removesuffix("/messages")
        if self.failing.get(request.method):
            self.failing[request.method] -= 1
            self._refuse(route, 503, "HISTORY_UNAVAILABLE", "The store does not answer")
        elif not path:
            self._page(route, list(self.sessions.values()), query)
        elif session_id not in self.sessions:
            self._refuse(route, 404, "SESSION_NOT_FOUND", "There is no such session")
        elif path.endswith("/messages"):
            rows = self.messages.get(session_id, [])
            self._page(route, rows[::-1] if query["order"] == "desc" else rows, query)
        elif request.method == "PATCH":
            self.sessions[session_id] |= request.post_data_json
            route.fulfill(json=self.sessions[session_id])
        else:
            assert request.method == "DELETE"
            del self.sessions[session_id]
            route.fulfill(status=204)

    def _page(self, route: Route, items: list[Any], query: dict[str, str]) -> None:
        begin, limit = int(query.get("cursor", 0)), int(query["limit"])
        body: dict[str, Any] = {"items": items[begin : begin + limit]}
        if begin + limit < len(items):
            body["cursor"] = str(begin + limit)
        route.fulfill(json=body)

    def _refuse(self, route: Route, status: int, code: str, message: str) -> None:
        route.fulfill(
            status=status, json={"error": {"type": "x", "code": code, "message": message}}
        )


@pytest.fixture
def open_with(open_page: OpenPage) -> Callable[..., tuple[Page, Store]]:
    """Open the page over these sessions."""

    def start(*sessions: dict[str, Any], **options: Any) -> tuple[Page, Store]:
        page = open_page(SITE, **options)
        store = Store(page, *sessions)
        page.reload()
        return page, store

    return start


def names(page: Page) -> Any:
    return page.locator(".session-open")


def test_the_list_shows_the_conversations_and_says_when_there_is_none(open_with: Any) -> None:
    page, _ = open_with()
    expect(page.locator("#sessions-note")).to_contain_text("will be kept here")
    page, _ = open_with(session("a", "Plans <b>x</b>"), session("b"))
    expect(names(page)).to_have_text(["Plans <b>x</b>", "Untitled"])
    expect(page.locator("#sessions-note")).to_be_empty()


def test_a_conversation_is_opened_and_gone_on_with(open_with: Any) -> None:
    page, store = open_with(session("a/ü", "Plans"), session("b", "Other"))
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    store.messages["a/ü"] = [
        row(1, "user", "First?"),
        row(2, "assistant", "It **is**.", token_usage=usage, metadata={"model": "Small"}),
        row(3, "user", "Second?"),
        row(4, "assistant", "Ha", status="cancelled"),
        row(5, "user", "Third?"),
        row(6, "assistant", "", status="failed", error_code="TIMEOUT"),
    ]
    page.get_by_role("button", name="Plans", exact=True).click()
    expect(page.locator(".bubble")).to_have_text(["First?", "Second?", "Third?"])
    expect(page.locator(".answer .meta")).to_have_text(
        ["3 tokens · Small", "Stopped", "Failed · TIMEOUT"]
    )
    assert page.locator(".prose").first.inner_html() == "<p>It <strong>is</strong>.</p>"
    expect(page.locator(".session.current .session-open")).to_have_text("Plans")
    expect(page.locator("#message")).to_be_focused()
    asked: list[Any] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(body="event: done\ndata: {}\n\n", content_type="text/event-stream")

    page.route("**/api/v1/chat/stream", answer)
    page.fill("#message", "Fourth?")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble")).to_have_count(4)
    expect(page.locator("#status")).to_contain_text("Answer complete")
    assert asked[0]["session_id"] == "a/ü"
    page.reload()  # the tab still knows what it showed
    expect(page.locator(".bubble")).to_have_count(4)
    expect(page.locator(".session.current .session-open")).to_have_text("Plans")
    page.click("#new-chat")
    expect(page.locator(".session.current")).to_have_count(0)
    expect(page.locator("#welcome")).to_be_visible()


def test_earlier_messages_come_on_demand(open_with: Any) -> None:
    page, store = open_with(session("a", "Long"))
    store.messages["a"] = [
        row(number, "user" if number % 2 else "assistant", f"text {number}")
        for number in range(1, 101)
    ]
    names(page).click()
    expect(page.locator(".message")).to_have_count(60)
    expect(page.locator(".bubble").first).to_have_text("text 41")
    page.get_by_role("button", name="Show earlier messages").click()
    expect(page.locator(".message")).to_have_count(100)
    expect(page.locator(".bubble").first).to_have_text("text 1")
    expect(page.locator(".earlier")).to_have_count(0)


def test_a_long_list_comes_in_pages(open_with: Any) -> None:
    page, _ = open_with(*(session(f"s{number}", f"Number {number}") for number in range(90)))
    expect(names(page)).to_have_count(40)
    for count in (80, 90):
        page.click("#sessions-more")
        expect(names(page)).to_have_count(count)
    expect(page.locator("#sessions-more")).to_be_hidden()


def test_a_conversation_is_renamed(open_with: Any) -> None:
    page, store = open_with(session("a", "Plans"))
    page.get_by_role("button", name="Rename Plans").click()
    field = page.get_by_role("textbox", name="Name")
    expect(field).to_be_focused()
    field.fill("Other plans")
    field.press("Enter")
    expect(names(page)).to_have_text("Other plans")
    expect(names(page)).to_be_focused()
    assert ("PATCH", "a", {"title": "Other plans"}) in store.calls
    page.get_by_role("button", name="Rename Other plans").click()
    page.get_by_role("textbox", name="Name").fill("never")
    page.keyboard.press("Escape")
    expect(names(page)).to_have_text("Other plans")
    assert len([one for one in store.calls if one[0] == "PATCH"]) == 1


def test_a_conversation_is_deleted_after_a_second_word(open_with: Any) -> None:
    page, store = open_with(session("a", "Plans"), session("b", "Other"))
    store.messages["a"] = [row(1, "user", "First?")]
    page.get_by_role("button", name="Plans", exact=True).click()
    expect(page.locator(".bubble")).to_have_count(1)
    page.get_by_role("button", name="Delete Plans").click()
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.get_by_role("button", name="Keep").click()
    assert "a" in store.sessions
    page.get_by_role("button", name="Delete Plans").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(names(page)).to_have_text(["Other"])
    expect(page.locator("#welcome")).to_be_visible()  # it was the one that was shown
    assert set(store.sessions) == {"b"}


def test_a_store_that_does_not_answer_is_said_and_asked_again(open_with: Any, watch: Any) -> None:
    watch.expected.append("503")
    page, store = open_with(session("a", "Plans"))
    expect(names(page)).to_have_count(1)
    store.failing["GET"] = 1
    names(page).click()
    note = page.locator("#sessions-note")
    expect(note).to_contain_text("The store does not answer")
    note.get_by_role("button", name="Retry").click()
    expect(note).to_be_empty()
    store.failing["DELETE"] = 1
    page.get_by_role("button", name="Delete Plans").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(note).to_contain_text("The store does not answer")
    expect(names(page)).to_have_text(["Plans"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_list_is_a_drawer(open_with: Any, scheme: str) -> None:
    page, store = open_with(session("a", "Plans"), width=360, height=700, scheme=scheme)
    store.messages["a"] = [row(1, "user", "First?"), row(2, "assistant", "Yes.")]
    panel = page.locator("#sessions")
    expect(panel).to_be_hidden()
    page.click("#menu")
    expect(panel).to_be_visible()
    expect(page.locator("#menu")).to_have_attribute("aria-expanded", "true")
    expect(names(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#menu")).to_be_focused()
    page.click("#menu")
    names(page).click()
    expect(panel).to_be_hidden()
    expect(page.locator(".bubble")).to_have_text("First?")
    page.click("#menu")
    page.mouse.click(350, 400)  # beside it
    expect(panel).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


CITATIONS = [
    {
        "id": "1",
        "title": "Streams",
        "source": "docs/streams.md",
        "score": 0.914,
        "text": "A stream has one <reader>.",
    },
    {"id": "2", "source": "https://example.test/page", "text": "Far away."},
    {"id": "3", "title": "Odd", "source": "javascript:alert(1)"},
    "not one",
]
CALLS = [
    {"name": "calculator", "arguments": '{"expression": "6*7"}', "result": "42"},
    {"name": "clock", "arguments": {"zone": "UTC"}, "result": {"now": "12:00"}},
    {"name": "search", "arguments": {}, "error": "no index"},
]


def answered(metadata: dict[str, Any]) -> str:
    last = {
        "message_id": "m",
        "seq": 1,
        "delta": "",
        "finish_reason": "stop",
        "metadata": metadata,
        "process_time": 0.5,
    }
    first = {"message_id": "m", "seq": 0, "delta": "It is 42."}
    frames = "".join(f"data: {json.dumps(one)}\n\n" for one in (first, last))
    return f"{frames}event: done\ndata: {{}}\n\n"


def ask(page: Page, metadata: dict[str, Any]) -> None:
    page.route(
        "**/api/v1/chat/stream",
        lambda route: route.fulfill(body=answered(metadata), content_type="text/event-stream"),
    )
    page.fill("#message", "What is it?")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .meta")).to_be_visible()


def test_sources_stand_under_the_answer(open_with: Any) -> None:
    page, _ = open_with()
    ask(page, {"citations": CITATIONS})
    sources = page.get_by_role("region", name="Sources")
    expect(sources.locator(".fold-name")).to_have_text(
        ["Streams", "https://example.test/page", "Odd"]
    )
    expect(sources.locator(".score")).to_have_text(["0.91"])
    sources.locator("summary").first.click()
    expect(sources.locator("blockquote").first).to_have_text("A stream has one <reader>.")
    expect(sources).to_contain_text("docs/streams.md")
    links = sources.locator("a")
    expect(links).to_have_count(1)  # no script, no path of the server's disk
    expect(links).to_have_attribute("href", "https://example.test/page")
    expect(links).to_have_attribute("rel", "noopener noreferrer")
    page.reload()
    expect(page.get_by_role("region", name="Sources").locator(".fold")).to_have_count(3)


def test_tool_calls_stand_under_the_answer(open_with: Any) -> None:
    page, _ = open_with()
    ask(page, {"tool_calls": CALLS})
    tools = page.get_by_role("region", name="Tools")
    expect(tools.locator(".fold-name")).to_have_text(["calculator", "clock", "search"])
    expect(tools.locator(".outcome")).to_have_text(["42", '{"now":"12:00"}', "no index"])
    tools.locator("summary").first.click()
    expect(tools.locator("pre").first).to_have_text('{\n  "expression": "6*7"\n}')
    expect(tools.locator("h4").nth(5)).to_have_text("Error")


@pytest.mark.parametrize("metadata", [{}, {"citations": []}, {"citations": "x", "tool_calls": 5}])
def test_without_either_nothing_is_shown(open_with: Any, metadata: dict[str, Any]) -> None:
    page, _ = open_with()
    ask(page, metadata)
    expect(page.locator(".details")).to_be_empty()
