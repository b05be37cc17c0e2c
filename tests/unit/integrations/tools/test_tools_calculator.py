"""The calculator: right, bounded, and helpful where it cannot."""

from __future__ import annotations

import ast
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import ParseError, ValidationError
from pyeino.integrations.tools import calculator
from pyeino.integrations.tools._arithmetic import FUNCTIONS, calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2 ** 2", "-4"),
        ("2 ^ 3 ^ 2", "512"),
        ("2 ** -1", "0.5"),
        ("0.1 + 0.2", "0.3"),
        ("10 / 4", "2.5"),
        ("7 // -2", "-4"),
        ("7 % -3", "-2"),
        ("1_000 × 3 ÷ 2 − 1", "1499"),
        ("sqrt(16) + abs(-3) + max(1, 5, 2) - min(4, 3)", "9"),
        ("round(2.345, 2) + floor(1.9) + ceil(1.1)", "5.35"),
        ("log10(1000) + ln(e)", "4"),
        ("2 * PI", "6.28318530717958647692528676656"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("1e-30 * 1e-30", "1e-60"),
        ("- - + 5", "5"),
    ],
)
def test_it_works_out(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "found the end"),
        ("1 +", "expected a number at 4"),
        ("(1 + 2", "expected ')'"),
        ("3 apples", "found 'apples'"),
        ("sin(1)", "there are abs"),
        ("1 / 0", "divides by zero"),
        ("0 ** -1", "divides by zero"),
        ("sqrt(-1)", "no value"),
        ("1 = 1", "the character '=' at 3"),
        ("round(1, 2, 3)", "takes 1 to 2 values"),
        ("__import__('os').system('true')", "'__import__' is not known"),
        ("().__class__", "expected a number"),
        ("1 if 1 else 2", "found 'if'"),
        ("[1][0]", "the character '['"),
        ("9 ** 9 ** 9", "the exponent"),
        ("exp(99999)", "the exponent"),
        ("1e1999 * 1e1999", "too large"),
        ("1e9999", "too large"),
        ("round(1e300, 5)", "too many digits"),
        ("(" * 40 + "1" + ")" * 40, "nested deeper"),
        ("sqrt(" * 40 + "1" + ")" * 40, "nested deeper"),
        ("1+" * 200 + "1", "401 characters"),
        ("2**" * 80 + "2", "the exponent"),
        ("\u0661 + 1", "has no meaning"),
    ],
)
def test_it_says_what_is_wrong(expression: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        calculate(expression)
    assert caught.value.code == "INVALID_EXPRESSION"
    assert told in caught.value.message
    assert len(caught.value.message) < 300


NUMBERS = st.integers(0, 999).map(str)
SUMS = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
        lambda one: f"({one[0]} {one[1]} {one[2]})"
    ),
    max_leaves=8,
)


@given(SUMS)
def test_sums_and_products_are_those_of_python(expression: str) -> None:
    wanted = eval(compile(ast.parse(expression, mode="eval"), "", "eval"))  # our own text
    assert Fraction(calculate(expression)) == wanted


@given(st.text(max_size=300) | st.text("0123456789+-*/%^().,e sqrtmaxpi_", max_size=300))
def test_any_text_gives_a_number_or_a_refusal(text: str) -> None:
    try:
        value = calculate(text)
    except ValidationError as error:
        assert error.code == "INVALID_EXPRESSION"
    else:
        Fraction(value)
        assert len(value) < 80


async def test_as_a_tool_it_takes_one_expression() -> None:
    assert calculator.info.name == "calculator"
    assert await calculator.run('{"expression": "17 * 23"}') == "391"
    for example in calculator.info.examples:
        assert await calculator.run(json.dumps(example.arguments))
    for bad in ("{}", '{"expression": 3}', '{"expression": ""}', '{"x": 1}', "no"):
        with pytest.raises(ParseError):
            await calculator.run(bad)
    described = str(calculator.info.json_schema)
    assert all(name in described for name in FUNCTIONS)
