"""Pages say what is: every setting, route and error code is there, links lead somewhere."""

import ast
import re
import tomllib
from pathlib import Path

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


# --- error codes ----------------------------------------------------------------------------------


def codes_in(text: str) -> set[str]:
    """Codes that a source gives to an error or a problem, or a class has as its default."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                if re.search(r"(?:Error|Problem|_error|_?problem)$", name):
                    found |= _codes_of_call(node)
            case ast.Tuple(elts=[ast.Constant(value=str(code)), ast.Constant(value=str()), *_]):
                found.add(code)  # a row of a table of errors: code, message, …
            case ast.Assign(targets=[ast.Name(id="default_code")], value=ast.Constant(value=code)):
                found.add(str(code))
            case ast.AnnAssign(target=ast.Name(id="default_code"), value=ast.Constant(value=code)):
                found.add(str(code))
    return {code for code in found if re.fullmatch(r"[A-Z][A-Z_]+", code)}


def _codes_of_call(call: ast.Call) -> set[str]:
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "code")]
    return {str(node.value) for node in given if isinstance(node, ast.Constant)}


def _documented_codes() -> set[str]:
    return set(re.findall(r"^### `([A-Z_]+)`", _text("docs/errors.md"), re.M))


def test_every_error_code_has_a_section() -> None:
    raised: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        raised |= codes_in(path.read_text(encoding="utf-8"))
    documented = _documented_codes()
    assert (sorted(raised - documented), sorted(documented - raised)) == ([], [])


def test_a_section_says_cause_and_remedy() -> None:
    sections = re.split(r"^### ", _text("docs/errors.md"), flags=re.M)[1:]
    assert [s.split("\n")[0] for s in sections if len(s.strip().splitlines()) < 3] == []


def test_codes_are_found_in_planted_code() -> None:
    text = (
        'raise NotFoundError("GONE", "x")\nProblem(code="CYCLE")\n'
        'class E:\n    default_code = "E_CODE"\nlog("NOT_ONE")\n'
    )
    assert codes_in(text) == {"GONE", "CYCLE", "E_CODE"}


# --- links, languages, the site -------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *TOP], ids=lambda page: page.name)
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
    listed = {target for entry in site["nav"] for target in entry.values()}
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")}
    assert site["theme"]["font"] is False
