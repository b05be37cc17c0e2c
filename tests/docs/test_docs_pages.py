"""Pages say what is: every setting and route is there, links lead somewhere."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_kit import PAGES, ROOT, fences_of

from pyeino.wiring import load_settings, setting_rows

TOP = [ROOT / name for name in ("AGENTS.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _table(name: str, columns: int) -> list[list[str]]:
    rows = [line for line in _text(name).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split("|")][:columns] for row in rows]


def test_every_setting_is_documented_with_its_default() -> None:
    shown = {key.strip("`"): default.strip("`") for key, default in _table_of_keys()}
    real = {row.key: row.value.strip("'") or "empty" for row in setting_rows(load_settings(env={}))}
    assert shown == real


def _table_of_keys() -> list[list[str]]:
    return _table("docs/configuration.md", 2)


def test_every_route_is_documented() -> None:
    from pyeino.server import ServerOptions
    from pyeino.server._routes import route_table

    text = _text("docs/http-api.md")
    routes = {
        f"{entry.method} {re.sub(r':path', '', entry.path)}"
        for entry in route_table(ServerOptions())
        if entry.path != "/static/{name}"  # what the pages load is no interface
    }
    assert {route for route in routes if f"`{route}`" not in text} == set()


# --- links, languages, the site -------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *TOP], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_translation_shows_the_same() -> None:
    pages = {name: _text(name) for name in ("README.md", "README.zh-CN.md")}
    english, chinese = (
        [(f.language, _bare(f.code)) for f in fences_of(text, page=name)]
        for name, text in pages.items()
    )
    assert english == chinese
    headings = [re.findall(r"^(#+) ", text, re.M) for text in pages.values()]
    assert headings[0] == headings[1]
    links = [set(re.findall(r"\]\(([^)]+)\)", text)) for text in pages.values()]
    assert links[0] - {"README.zh-CN.md"} == links[1] - {"README.md"}


def _bare(code: str) -> str:
    """Code without its comments: those are translated."""
    return "\n".join(re.sub(r"\s*# .*$", "", line) for line in code.splitlines())


def test_every_page_is_in_the_site() -> None:
    site = tomllib.loads(_text("zensical.toml"))["project"]
    listed = list(_targets(site["nav"]))
    docs = ROOT / "docs"
    assert sorted(listed) == sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
    assert site["theme"]["font"] is False


def _targets(nav: str | list[Any] | dict[str, Any]) -> Iterator[str]:
    """The pages of a navigation, whose sections hold pages and further sections."""
    match nav:
        case str():
            yield nav
        case dict():
            for entry in nav.values():
                yield from _targets(entry)
        case _:
            for entry in nav:
                yield from _targets(entry)


def test_every_page_is_reached_by_links_from_the_first() -> None:
    docs = ROOT / "docs"
    seen: set[Path] = set()
    to_read = [docs / "index.md"]
    while to_read:
        page = to_read.pop().resolve()
        if page not in seen and page.is_relative_to(docs.resolve()):
            seen.add(page)
            targets = re.findall(r"\]\(([^)#\s:]+\.md)[)#]", page.read_text(encoding="utf-8"))
            to_read += [page.parent / target for target in targets]
    assert {page.resolve() for page in docs.rglob("*.md")} - seen == set()
