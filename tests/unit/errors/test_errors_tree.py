"""The framework's own errors: what they say, and how the node path travels with any error."""

import dataclasses

import pytest

from pyeino import errors
from pyeino.errors import CompileError, Problem, PyeinoError, node_path, with_node


def test_the_text_says_what_where_expected_found_and_remedy() -> None:
    error = PyeinoError(
        "bad edge",
        where="graph > a",
        expected="str",
        found="int",
        remedy="convert it",
    )
    assert str(error) == "bad edge; at graph > a; expected str; found int; convert it"
    assert error.code == "PYEINO_ERROR"
    assert PyeinoError("x", code="OTHER").code == "OTHER"


def test_every_error_has_the_one_root_and_a_code_of_its_own() -> None:
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(kinds) > 15
    assert all(issubclass(kind, PyeinoError) for kind in kinds)
    codes = [kind.default_code for kind in kinds]
    assert len(set(codes)) == len(codes)


def test_a_wrong_declaration_is_a_type_error_and_a_bad_template_a_value_error() -> None:
    assert issubclass(errors.DeclarationError, TypeError)
    assert issubclass(errors.TemplateError, ValueError)


def test_a_missing_extra_is_an_import_error_with_the_install_line() -> None:
    error = errors.MissingDependencyError("aiohttp", extra="openai")
    assert isinstance(error, ImportError)
    assert "pip install 'pyeino[openai]'" in str(error)
    assert (error.package, error.extra) == ("aiohttp", "openai")


def test_compile_error_carries_every_problem() -> None:
    problems = (
        Problem(code="TYPE", path=("a", "b"), message="no", expected="str", found="int"),
        Problem(code="CYCLE", path=(), message="round", remedy="Cut one edge"),
    )
    error = CompileError(problems)
    assert error.problems == problems
    assert str(error).splitlines() == [
        "2 problems found by compile():",
        "  1. [TYPE] a > b: no (expected str, found int)",
        "  2. [CYCLE] graph: round. Cut one edge",
    ]
    assert str(CompileError(problems[:1])).startswith("1 problem found")


def test_the_node_path_grows_outwards_and_is_one_note() -> None:
    error = KeyError("x")
    assert node_path(error) == ()
    assert with_node(error, "inner") is error
    with_node(error, "middle")
    with_node(error, "outer")
    assert node_path(error) == ("outer", "middle", "inner")
    assert error.__notes__ == ["node path: outer > middle > inner"]


def test_notes_of_others_are_kept() -> None:
    error = ValueError("x")
    error.add_note("mine")
    with_node(with_node(error, "b"), "a")
    assert error.__notes__ == ["mine", "node path: a > b"]


def test_an_error_that_refuses_attributes_passes_unharmed() -> None:
    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        number: int

    error = Frozen(1)
    assert with_node(error, "a") is error
    assert node_path(error) == ()


def test_control_flow_is_no_exception_of_ours() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        raise with_node(KeyboardInterrupt(), "a")
    assert node_path(caught.value) == ("a",)
