"""The pages and the policy that is sent with them: nothing inline, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

_ADDRESSES = frozenset({"src", "href", "action", "data", "srcset", "poster"})
_IMPORTED = re.compile(
    r"""^(?:import|export)\b[^"';=()]*["']([^"']+)["']|\bimport\(["']([^"']+)""", re.M
)
_STYLED = re.compile(r"""@import\s+["']([^"']+)|url\(\s*["']?([^"')]+)""")
_AT_RUN_TIME = re.compile(r"\beval\(|\bnew Function\b|setAttribute\(\s*[\"']style|insertRule\(")


class _Page(HTMLParser):
    """What a page holds that `default-src 'self'` would stop, and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loaded: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._within = tag if tag in ("script", "style") and "src" not in given else ""
        self.inline += [
            f"{tag} {name}" for name in given if name == "style" or name.startswith("on")
        ]
        for name in _ADDRESSES & given.keys():
            if given[name].strip().lower().startswith("javascript:"):
                self.inline.append(f"{tag} {name}")
            elif tag != "a":
                self.loaded.append(given[name])

    def handle_data(self, data: str) -> None:
        if self._within and data.strip():
            self.inline.append(self._within)

    def handle_endtag(self, tag: str) -> None:
        self._within = ""


def stopped_by_the_policy(html: str) -> list[str]:
    """What of a page a browser would refuse: inline code and style, and other hosts."""
    page = _Page()
    page.feed(html)
    return page.inline + [address for address in page.loaded if _is_elsewhere(address)]


def _is_elsewhere(address: str) -> bool:
    return address.startswith("//") or bool(re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", address))


def _links_of(text: str, media: str) -> Iterator[str]:
    pattern = _STYLED if "css" in media else _IMPORTED
    found = [first or second for first, second in pattern.findall(text)]
    if "html" in media:
        page = _Page()
        page.feed(text)
        found = page.loaded
    for link in found:
        if not link.startswith("#"):
            yield link.split("#")[0]


@pytest.mark.parametrize("page", ["/", "/docs"])
async def test_g129_the_pages_work_under_the_policy_that_is_sent(serve: Any, page: str) -> None:
    async with serve() as running:
        waiting, seen = [page], set[str]()
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            answer = await running.http.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["content-security-policy"] == "default-src 'self'"
            media = answer.headers["content-type"]
            if media.startswith("text/html"):
                assert stopped_by_the_policy(answer.text) == []
            assert not _AT_RUN_TIME.search(answer.text), path
            links = [link for link in _links_of(answer.text, media) if link]
            assert [link for link in links if _is_elsewhere(link)] == [], path
            waiting += [_from(path, link) for link in links]
    assert len(seen) > 3  # the page, its scripts and its styles


def _from(path: str, link: str) -> str:
    if link.startswith("/"):
        return link
    folder = path.rsplit("/", 1)[0]
    return f"{folder}/{link.removeprefix('./')}"


@pytest.mark.parametrize(
    "html",
    [
        "<script>go()</script>",
        "<style>b { color: red }</style>",
        '<b style="color: red">x</b>',
        '<button onclick="go()">x</button>',
        '<a href="javascript:go()">x</a>',
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        '<img src="data:image/png;base64,AA">',
    ],
)
def test_g129_what_the_policy_stops_is_found(html: str) -> None:
    assert len(stopped_by_the_policy(f"<html><body>{html}</body></html>")) == 1
