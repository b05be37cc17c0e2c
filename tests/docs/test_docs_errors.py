"""N1: a page for each error code, with what is seen, why, and what to do, all of it true."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator

import pytest
from docs_kit import ROOT, fences_of

from pyeino.cli._parser import build_parser
from pyeino.errors import AppError
from pyeino.wiring import load_settings, setting_rows

FOLDER = ROOT / "docs" / "errors"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
INDEX = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
HEADINGS = ["Symptom", "Cause", "Remedy"]
KINDS = {one.__name__: one for one in AppError.__subclasses__()}
LEAST_WORDS = 5


def calls_in(text: str) -> Iterator[ast.Call]:
    """Every call of a source that makes an error or a problem."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                if re.search(r"(?:Error|Problem|_error|_?problem)$", name):
                    yield node


def codes_in(text: str) -> set[str]:
    """Codes that a source gives to an error or a problem, or a class or function by default."""
    found = {code for call in calls_in(text) for code in _codes_of_call(call)}
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Tuple(elts=[ast.Constant(value=str(code)), ast.Constant(value=str()), *_]):
                found.add(code)  # a row of a table of errors: code, message, …
            case ast.Assign(targets=[ast.Name(id="default_code")], value=ast.Constant(value=code)):
                found.add(str(code))
            case ast.AnnAssign(target=ast.Name(id="default_code"), value=ast.Constant(value=code)):
                found.add(str(code))
            case ast.arguments():
                found |= _default_codes(node)
    return {code for code in found if re.fullmatch(r"[A-Z][A-Z_]+", code)}


def _codes_of_call(call: ast.Call) -> set[str]:
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "code")]
    return {str(node.value) for node in given if isinstance(node, ast.Constant)}


def _default_codes(arguments: ast.arguments) -> set[str]:
    """The default of a parameter that is called `code`."""
    positional = [*arguments.posonlyargs, *arguments.args]
    last = positional[len(positional) - len(arguments.defaults) :]
    pairs = [
        *zip(last, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {
        str(default.value)
        for one, default in pairs
        if one.arg == "code" and isinstance(default, ast.Constant)
    }


def statuses_in(text: str) -> Iterator[tuple[str, str, int]]:
    """Code, `error.type` and status of every AppError that a source makes in so many words."""
    for call in calls_in(text):
        kind = KINDS.get(getattr(call.func, "id", ""))
        if kind is None or not call.args or not isinstance(call.args[0], ast.Constant):
            continue
        given = [word.value for word in call.keywords if word.arg == "http_status"]
        status = given[0] if given else ast.Constant(kind.default_status)
        if isinstance(status, ast.Constant):
            yield str(call.args[0].value), str(kind.type), int(str(status.value))


def sources() -> Iterator[str]:
    for path in (ROOT / "src").rglob("*.py"):
        yield path.read_text(encoding="utf-8")


def sections_of(page: str) -> dict[str, str]:
    """The text under each heading of the second level, without the link at the end."""
    body = page.partition("\n[All errors]")[0]
    _, *parts = re.split(r"^## (.+)\n", body, flags=re.M)
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))


def commands_in(page: str) -> list[str]:
    """The `pyeino …` commands of a page: in code spans and in fences."""
    fenced = [fence.code for fence in fences_of(page, page="page")]
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"(?ms)^```.*?^```", "", page))
    lines = [line.removeprefix("$ ") for text in [*fenced, *spans] for line in text.splitlines()]
    return [line for line in lines if re.match(r"pyeino [a-z]", line)]


def is_understood(command: str) -> bool:
    """Whether the real parser takes a command, and the settings know every key it sets.

    A command without arguments may be a mere name: then it is enough that there is one.
    """
    words = shlex.split(command, comments=True)[1:]
    if all(word.isalpha() for word in words):
        words.append("--help")
    try:
        arguments = build_parser().parse_args(words)
    except SystemExit as exit:
        return exit.code == 0  # --help
    keys = {row.key for row in setting_rows(load_settings(env={}))}
    return {one.partition("=")[0] for one in getattr(arguments, "assignments", [])} <= keys


def test_n1_every_error_code_has_a_page() -> None:
    raised = {code for text in sources() for code in codes_in(text)}
    assert (sorted(raised - set(PAGES)), sorted(set(PAGES) - raised)) == ([], [])
    assert len(raised) > 150


@pytest.mark.parametrize("code", PAGES)
def test_n1_a_page_says_symptom_cause_and_remedy(code: str) -> None:
    page = PAGES[code]
    sections = sections_of(page)
    assert re.match(rf"# {code}: .{{10,}}\n", page)
    assert list(sections) == HEADINGS
    assert {name for name, text in sections.items() if len(text.split()) < LEAST_WORDS} == set()
    assert len(set(sections.values())) == len(HEADINGS)
    assert page.rstrip().endswith("[All errors](../errors.md)")


def test_n1_no_two_pages_have_one_cause() -> None:
    causes = [sections_of(page)["Cause"] for page in PAGES.values()]
    assert [cause for cause in causes if causes.count(cause) > 1] == []


def test_n1_a_symptom_has_the_type_and_the_status_that_are_raised() -> None:
    facts = {fact for text in sources() for fact in statuses_in(text)}
    wrong = [
        (code, kind, status)
        for code, kind, status in sorted(facts)
        if not {kind, str(status)} <= set(re.findall(r"\w+", sections_of(PAGES[code])["Symptom"]))
    ]
    assert wrong == []
    assert len(facts) > 80


@pytest.mark.parametrize("page", [INDEX, *PAGES.values()], ids=["index", *PAGES])
def test_n1_every_command_of_a_page_is_one(page: str) -> None:
    assert [command for command in commands_in(page) if not is_understood(command)] == []


@pytest.mark.parametrize("code", PAGES)
def test_n1_every_setting_of_a_page_is_one(code: str) -> None:
    keys = {row.key for row in setting_rows(load_settings(env={}))}
    sections = {key.partition(".")[0] for key in keys}
    named = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", PAGES[code]))
    assert {key for key in named if key.partition(".")[0] in sections} - keys - {
        "error.code"
    } == set()


def test_n1_the_index_has_each_page_once_with_its_title() -> None:
    listed = re.findall(r"^- \[`([A-Z_]+)`\]\(errors/(\w+)\.md\)[^:]*: (.+)$", INDEX, re.M)
    titles = {code: page.split("\n")[0].partition(": ")[2] for code, page in PAGES.items()}
    assert sorted(listed) == sorted((code, code, title) for code, title in titles.items())


def test_n1_the_index_has_each_code_under_its_type() -> None:
    kinds = {code: kind for text in sources() for code, kind, _ in statuses_in(text)}
    by_type = INDEX.partition("## By type")[2].partition("\n## ")[0]
    for part in re.split(r"^### ", by_type, flags=re.M)[1:]:
        kind = part.split("`")[1]
        codes = re.findall(r"^- \[`([A-Z_]+)`\]", part, re.M)
        assert [one for one in codes if kinds.get(one, kind) != kind and one not in MANY] == []


MANY = {"FALLBACKS_FAILED", "QUEUE_FULL", "TIMEOUT", "PROVIDER_ERROR"}
"""Codes that come with more than one type."""


# --- the tests above can fail ---------------------------------------------------------------------


def test_n1_codes_are_found_in_planted_code() -> None:
    text = (
        'raise NotFoundError("GONE", "x")\nProblem(code="CYCLE")\n'
        'class E:\n    default_code = "E_CODE"\nlog("NOT_ONE")\n'
        'def bad_field(name, code="BAD"): ...\ndef worse(*, code="WORSE", other="NOT"): ...\n'
    )
    assert codes_in(text) == {"GONE", "CYCLE", "E_CODE", "BAD", "WORSE"}
    assert list(statuses_in(text)) == [("GONE", "not_found", 404)]


def test_n1_commands_that_do_not_exist_are_found() -> None:
    page = "`pyeino serve --prot 1` and `pyeino health`\n```console\n$ pyeino mend\n```\n"
    assert [is_understood(one) for one in commands_in(page)] == [False, False, True]
    assert not is_understood("pyeino keys make")
    assert not is_understood("pyeino serve --set llm.tokens=1")
    assert is_understood("pyeino serve --set llm.max_tokens=1  # fine")
    assert is_understood("pyeino serve --help")


def test_n1_sections_are_read_as_they_stand() -> None:
    page = "# A: b\n\n## Symptom\n\nx\n\n## Remedy\n\ny\n\n[All errors](../errors.md)\n"
    assert sections_of(page) == {"Symptom": "x", "Remedy": "y"}
