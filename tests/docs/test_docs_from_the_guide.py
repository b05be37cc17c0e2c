"""docs/from-the-guide.md: every name of the guide is on it, and everything on it is there.

The guide itself is not needed: `guide_names.toml` holds what it names. Tests of the table of its
defects carry the number of their row (`test_g120_…`, `test_n12_…`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import guide_resolve
import pytest
from guide_kit import (
    CHINESE,
    DEPARTURE,
    ENGLISH,
    ROOT,
    ROWS,
    GuideName,
    Reference,
    Row,
    expected_forms,
    forms_of,
    guide_names,
    in_python,
    labels_of,
    read_page,
)
from guide_resolve import Unresolved, known_tests, metric_families

PAGE = read_page(ENGLISH.read_text(encoding="utf-8"))
NAMES = guide_names()
CHECKS: dict[str, Callable[[Reference], None]] = {
    "code": guide_resolve.check_code,
    "command": guide_resolve.check_command,
    "file": guide_resolve.check_file,
    "in": guide_resolve.check_in,
    "key": guide_resolve.check_key,
    "make": guide_resolve.check_make,
    "metric": guide_resolve.check_metric,
    "package": guide_resolve.check_package,
    "python": guide_resolve.check_python,
    "route": guide_resolve.check_route,
    "text": guide_resolve.check_text,
    "yaml": guide_resolve.check_yaml,
}
RUN = {"attribute", "claim", "field", "header", "new", "span"}
"""Kinds that are resolved by doing something and looking at what comes out."""


def references(*kinds: str) -> list[Reference]:
    found = {str(one): one for row in PAGE.rows for one in row.references if one.kind in kinds}
    return list(found.values())


def rows_with(name: GuideName) -> list[Row]:
    return [row for row in PAGE.rows if row.chapter == name.chapter and name.name in row.names]


# --- every name is there --------------------------------------------------------------------------


def test_every_name_of_the_guide_is_on_the_page() -> None:
    missing = [f"{one.chapter} {one.kind} {one.name}" for one in NAMES if len(rows_with(one)) != 1]
    assert missing == []
    assert len(NAMES) > 600


def test_the_page_names_nothing_that_the_guide_does_not() -> None:
    known = {(one.chapter, one.name) for one in NAMES}
    extra = [(row.chapter, name) for row in PAGE.rows for name in row.names]
    assert [one for one in extra if one not in known] == []


def test_a_name_is_kept_or_its_row_says_why_not() -> None:
    silent: list[str] = []
    for name in NAMES:
        (row,) = rows_with(name)
        forms = set[str]().union(*(forms_of(one) for one in row.references))
        if name.kind in GIVEN_OTHERWISE or row.departs or forms & expected_forms(name):
            continue
        silent.append(f"{name.chapter} {name.kind} {name.name}: {sorted(forms)}")
    assert silent == []


GIVEN_OTHERWISE = {"part", "promise", "status"}
"""Boxes of a drawing, words of a summary, pairs of a number and a text: no names in code."""


def test_a_departure_departs() -> None:
    idle: list[str] = []
    for row in PAGE.rows:
        forms = set[str]().union(*(forms_of(one) for one in row.references))
        named = [name for name in NAMES if name.chapter == row.chapter and name.name in row.names]
        if row.departs and all(
            expected_forms(name) & forms and not name.facts and name.kind not in GIVEN_OTHERWISE
            for name in named
        ):
            idle.append(f"{row.chapter} {row.names}")
    assert idle == []


@pytest.mark.parametrize("name", [one for one in NAMES if one.kind == "metric"], ids=str)
def test_a_metric_has_the_guides_labels_and_help(name: GuideName) -> None:
    (row,) = rows_with(name)
    labels = dict(labels_of(one.target) for one in row.references if one.kind == "metric")
    assert labels[name.name] == tuple(name.facts["labels"])
    assert row.departs or metric_families()[name.name].help == name.facts["help"]


@pytest.mark.parametrize("name", [one for one in NAMES if one.kind == "key"], ids=str)
def test_a_key_has_the_guides_default(name: GuideName) -> None:
    (row,) = rows_with(name)
    (found,) = [one.value for one in row.references if one.target == name.name]
    assert (found == name.facts["default"]) is not row.departs


@pytest.mark.parametrize(
    "name", [one for one in NAMES if {"value", "status"} & one.facts.keys()], ids=str
)
def test_a_value_is_the_guides(name: GuideName) -> None:
    (row,) = rows_with(name)
    value = str(name.facts.get("value", name.facts.get("status")))
    said = " ".join(f"{one.target}={one.value}" for one in row.references)
    assert value in said or row.departs, f"{value} is not in {said}"


# --- everything on the page is there --------------------------------------------------------------


def test_kinds_are_known() -> None:
    assert {one.kind for row in PAGE.rows for one in row.references} <= CHECKS.keys() | RUN


def test_every_row_refers_to_something_and_is_shown_by_a_test() -> None:
    assert [row.names for row in PAGE.rows if not row.references or not row.tests] == []
    named = {test for row in (*PAGE.rows, *PAGE.mended) for test in row.tests}
    assert sorted(named - known_tests()) == []


@pytest.mark.parametrize("reference", references(*CHECKS), ids=str)
def test_it_is_there(reference: Reference) -> None:
    CHECKS[reference.kind](reference)


async def test_headers_are_sent() -> None:
    sent = await guide_resolve.sent_headers()
    for reference in references("header"):
        guide_resolve.check_header(reference, sent)
    with pytest.raises(Unresolved):
        guide_resolve.check_header(Reference(kind="header", target="X-Frame-Options: NO"), sent)


def test_pyeino_new_writes_it(tmp_path: Path) -> None:
    project = guide_resolve.written_project(tmp_path)
    for reference in references("new"):
        guide_resolve.check_new(reference, project)


async def test_spans_and_attributes_are_recorded() -> None:
    names, attributes = await guide_resolve.traced()
    assert {one.target for one in references("span")} <= names
    for one in references("attribute"):
        assert one.target in attributes
        assert one.value == "" or attributes[one.target] == {one.value}


async def test_fields_are_logged() -> None:
    assert {one.target for one in references("field")} <= await guide_resolve.logged()


def test_claims_are_signed() -> None:
    assert {one.target for one in references("claim")} <= guide_resolve.claims()


@pytest.mark.parametrize(
    "wrong",
    [
        Reference(kind="python", target="pyeino.service.ChatService.no_such"),
        Reference(kind="python", target="pyeino.no_such.Thing"),
        Reference(kind="python", target="pyeino.errors.NotFoundError", value="500"),
        Reference(kind="key", target="server.port", value="9090"),
        Reference(kind="key", target="server.no_such"),
        Reference(kind="metric", target="eino_requests_total{method}"),
        Reference(kind="route", target="GET /no-such"),
        Reference(kind="file", target="no/such/file"),
        Reference(kind="in", target="Dockerfile#no such line"),
        Reference(kind="yaml", target="docker-compose.yml#services.no-such"),
        Reference(kind="yaml", target="k8s/deployment.yaml#Deployment/eino-app.spec.replicas=9"),
        Reference(kind="text", target="no such text, in parts: " + "so that it is not found"),
        Reference(kind="code", target="NO_SUCH" + "_CODE"),
        Reference(kind="package", target="no-such-package"),
        Reference(kind="command", target="pyeino no-such"),
        Reference(kind="make", target="no-such"),
    ],
    ids=str,
)
def test_what_is_not_there_is_found_out(wrong: Reference) -> None:
    with pytest.raises(Unresolved):
        CHECKS[wrong.kind](wrong)


# --- the defects ----------------------------------------------------------------------------------


def test_every_row_of_the_defects_has_its_own_tests_and_its_line() -> None:
    assert len(ROWS) == 124
    assert sorted(ROWS) == sorted(one.number for one in PAGE.mended)
    for one in PAGE.mended:
        number = one.number.lower().replace("g0", "g0?")
        assert one.tests, one.number
        mine = [re.fullmatch(rf"test_(\w+_)?{number}_\w+", test) for test in one.tests]
        assert all(mine), f"{one.number}: {one.tests}"
        assert one.sketch, one.number
        assert one.here, one.number


def test_n1_every_code_that_the_wire_shows_says_what_to_do() -> None:
    """A section of docs/errors.md, or a page of its own: its cause, and then its remedy."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    parts = re.split(r"^### `([A-Z_0-9]+)`.*$", text, flags=re.M)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    said |= {
        page.stem: page.read_text(encoding="utf-8").split("\n", 1)[1]
        for page in (ROOT / "docs" / "errors").glob("*.md")
    }
    raised = {"UNKNOWN_ERROR", "RATE_LIMIT_EXCEEDED", "CHAIN_EXECUTION_ERROR", "RETRIEVAL_FAILED"}
    assert raised <= said.keys()
    assert len(said) > 100
    assert [code for code, body in said.items() if "Remedy" not in body] == []
    cause = {code: body.split("Remedy")[0].strip("#* \n") for code, body in said.items()}
    assert [code for code, text in cause.items() if len(text.split()) < 3] == []


# --- the Chinese page -----------------------------------------------------------------------------


def test_the_chinese_page_has_the_same_tables() -> None:
    chinese = read_page(CHINESE.read_text(encoding="utf-8"))
    assert chinese.cells == PAGE.cells
    english, translated = _prose(PAGE), _prose(chinese)
    assert [bool(text) for text in english] == [bool(text) for text in translated]
    untranslated = [text for text in translated if text and not re.search(r"[\u4e00-\u9fff]", text)]
    assert sorted(untranslated) == ["`0`"]


def _prose(page: Any) -> list[str]:
    notes = [row.note.removeprefix(DEPARTURE) for row in page.rows]
    return notes + [text for one in page.mended for text in (one.sketch, one.here)]


# --- the kit --------------------------------------------------------------------------------------


def test_go_names_in_pythons_form() -> None:
    assert in_python("HTTPStatus") == "http_status"
    assert in_python("GetOrSet") == "get_or_set"
    assert in_python("P95Latency") == "p95_latency"
    assert in_python("maskIDCard") == "mask_id_card"
    assert in_python("ragChain") == "rag_chain"


def test_a_planted_row_is_read() -> None:
    text = (
        "## 1. One\n\n| guide | here | shown by | what is different |\n|---|---|---|---|\n"
        "| `A{B, c.d}`, `x.y` | "
        "`pyeino.a.{b = 1, c}`, key `k.l = 5` | `test_t` | **≠** Because. |\n"
        "| G01 | bad | good | `test_g01_x` |\n"
    )
    page = read_page(text)
    (row,) = page.rows
    assert row.names == ("A.B", "A.c.d", "x.y")
    assert [str(one) for one in row.references] == [
        "python pyeino.a.b = 1",
        "python pyeino.a.c",
        "key k.l = 5",
    ]
    assert row.departs
    assert page.mended[0].tests == ("test_g01_x",)
