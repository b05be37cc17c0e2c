"""Options: filled up from a broader setting, and refused when out of range."""

from __future__ import annotations

from typing import Any

import pytest

from pyeino.components import LoaderOptions, ModelOptions, RerankerOptions, RetrieverOptions
from pyeino.errors import ValidationError
from pyeino.schema import ToolInfo


def test_what_is_set_wins_and_the_rest_comes_from_the_base() -> None:
    base = ModelOptions(model="a", temperature=0.5, stop=("x",), extra={"k": 1, "l": 1})
    own = ModelOptions(temperature=0.0, stop=(), extra={"k": 2})
    merged = own.over(base)
    assert merged == ModelOptions(model="a", temperature=0.0, stop=(), extra={"k": 2, "l": 1})
    assert own.over(None) is own
    assert base == ModelOptions(model="a", temperature=0.5, stop=("x",), extra={"k": 1, "l": 1})


def test_no_tools_is_something_else_than_tools_not_set() -> None:
    base = ModelOptions(tools=(ToolInfo(name="t", description=""),))
    assert ModelOptions(tools=()).over(base).tools == ()
    assert ModelOptions().over(base).tools == base.tools


def test_metadata_of_a_load_is_replaced_as_a_whole() -> None:
    merged = LoaderOptions(extra_metadata={"a": 1}).over(LoaderOptions(extra_metadata={"b": 1}))
    assert merged.extra_metadata == {"a": 1}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (ModelOptions, {"temperature": 2.1}),
        (ModelOptions, {"temperature": float("nan")}),
        (ModelOptions, {"top_p": -0.1}),
        (ModelOptions, {"max_tokens": 0}),
        (RetrieverOptions, {"top_k": 0}),
        (RerankerOptions, {"top_k": -1}),
    ],
)
def test_numbers_out_of_range_name_their_field(kind: Any, wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(**wrong)
    assert caught.value.code == "INVALID_OPTION"
    assert caught.value.metadata["field"] == next(iter(wrong))
