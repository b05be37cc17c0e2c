"""Arithmetic on text: a parser of its own, decimal numbers, and a bound on everything."""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from pyeino.errors import ValidationError

MAX_LENGTH: Final = 256
MAX_DEPTH: Final = 32
MAX_EXPONENT: Final = 1_000
DIGITS: Final = 50
SHOWN_DIGITS: Final = 30

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\*\*|//|[-+*/%^(),×·÷−]))",  # what people and models write for * / and -
    re.ASCII,
)
_SAME = {"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"}
_CONTEXT = decimal.Context(
    prec=DIGITS,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-2_000,
    Emax=2_000,
    traps=[decimal.DivisionByZero, decimal.InvalidOperation, decimal.Overflow],
)
_PI = Decimal("3.14159265358979323846264338327950288419716939937511")
_E = Decimal("2.71828182845904523536028747135266249775724709369996")


def calculate(expression: str) -> str:
    """The value of `expression` as text, to 30 digits. Raises INVALID_EXPRESSION.

    Numbers, + - * / // % ** ^ and parentheses, pi and e, and the functions of FUNCTIONS. Work is
    bounded whatever the text: 256 characters, 32 levels, exponents up to 1,000, 50 digits.
    """
    if len(expression) > MAX_LENGTH:
        raise _invalid(f"it has {len(expression)} characters, and {MAX_LENGTH} are the most")
    with decimal.localcontext(_CONTEXT):
        try:
            return _shown(_Parser(expression).parse())
        except decimal.DivisionByZero:
            raise _invalid("it divides by zero") from None
        except decimal.Overflow:
            raise _invalid("the result is too large") from None
        except decimal.InvalidOperation:
            raise _invalid("a part of it has no value, or too many digits") from None


def _integer_part(rounding: str) -> Callable[[Decimal], Decimal]:
    return lambda value: value.to_integral_value(rounding=rounding)


def _round(value: Decimal, digits: Decimal = Decimal(0)) -> Decimal:
    places = int(digits)
    if not -DIGITS < places < DIGITS:
        raise _invalid(f"round takes -{DIGITS - 1} to {DIGITS - 1} digits, found {places}")
    return value.quantize(Decimal(1).scaleb(-places), rounding=decimal.ROUND_HALF_UP)


def _exp(value: Decimal) -> Decimal:
    return _bounded(value).exp()


def _largest(*values: Decimal) -> Decimal:
    return max(values)


def _smallest(*values: Decimal) -> Decimal:
    return min(values)


FUNCTIONS: Final[dict[str, tuple[int, int, Callable[..., Decimal]]]] = {
    "abs": (1, 1, Decimal.copy_abs),
    "ceil": (1, 1, _integer_part(decimal.ROUND_CEILING)),
    "exp": (1, 1, _exp),
    "floor": (1, 1, _integer_part(decimal.ROUND_FLOOR)),
    "ln": (1, 1, Decimal.ln),
    "log10": (1, 1, Decimal.log10),
    "max": (1, 20, _largest),
    "min": (1, 20, _smallest),
    "round": (1, 2, _round),
    "sqrt": (1, 1, Decimal.sqrt),
}
"""Name → the fewest and the most arguments, and what works it out."""

_CONSTANTS = {"pi": _PI, "e": _E}


class _Parser:
    """Recursive descent, loosest binding first: sum, product, sign, power, what is in parentheses.

    As in mathematics -2 ** 2 is -4, and 2 ** 3 ** 2 is 2 ** 9.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._kind = ""
        self._token = ""  # nosec B105  # a piece of the expression, no secret
        self._start = 0
        self._advance()

    def parse(self) -> Decimal:
        """The value of the whole text."""
        value = self._sum()
        if self._kind:
            raise self._refused("an operator or the end")
        return value

    def _advance(self) -> None:
        rest = self._text[self._at :]
        self._start = self._at + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self._kind, self._token = "", ""
            return
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            bad = self._text[self._start]
            raise _invalid(f"the character {bad!r} at {self._start + 1} has no meaning in it")
        self._at = found.end()
        self._kind = found.lastgroup or ""
        self._token = _SAME.get(found[self._kind], found[self._kind])

    def _take(self, *signs: str) -> str:
        """The sign that comes next when it is one of `signs`; "" else."""
        if self._kind != "sign" or self._token not in signs:
            return ""
        sign = self._token
        self._advance()
        return sign

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._refused(repr(sign))

    def _refused(self, expected: str) -> ValidationError:
        found = repr(self._token) if self._kind else "the end"
        return _invalid(f"expected {expected} at {self._start + 1}, found {found}")

    def _sum(self) -> Decimal:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _invalid(f"it is nested deeper than {MAX_DEPTH} levels")
        value = self._product()
        while sign := self._take("+", "-"):
            other = self._product()
            value = value + other if sign == "+" else value - other
        self._depth -= 1
        return value

    def _product(self) -> Decimal:
        value = self._signed()
        while sign := self._take("*", "/", "//", "%"):
            value = _divided(value, self._signed(), sign)
        return value

    def _signed(self) -> Decimal:
        negative = False
        while sign := self._take("+", "-"):
            negative ^= sign == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Decimal:
        # what stands between the signs ** is collected and worked out from the right, without
        # recursion: 256 characters hold more of them than there are levels
        values = [self._atom()]
        negative = [False]
        while self._take("**"):
            minus = False
            while sign := self._take("+", "-"):
                minus ^= sign == "-"
            values.append(self._atom())
            negative.append(minus)
        value = values.pop()
        while values:
            base, exponent = values.pop(), _bounded(-value if negative.pop() else value)
            if not base and exponent < 0:
                raise decimal.DivisionByZero
            value = base**exponent
        return value

    def _atom(self) -> Decimal:
        if self._kind == "number":
            value = Decimal(self._token.replace("_", ""))
            self._advance()
            return +value
        if self._take("("):
            value = self._sum()
            self._expect(")")
            return value
        if self._kind == "name":
            return self._named()
        raise self._refused("a number")

    def _named(self) -> Decimal:
        name = self._token.lower()
        self._advance()
        if name in _CONSTANTS:
            return +_CONSTANTS[name]
        if name not in FUNCTIONS:
            known = ", ".join((*FUNCTIONS, *_CONSTANTS))
            raise _invalid(f"{name[:32]!r} is not known; there are {known}")
        fewest, most, function = FUNCTIONS[name]
        self._expect("(")
        values = [self._sum()]
        while self._take(","):
            values.append(self._sum())
        self._expect(")")
        if not fewest <= len(values) <= most:
            count = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise _invalid(f"{name} takes {count} values, found {len(values)}")
        return function(*values)


def _divided(left: Decimal, right: Decimal, sign: str) -> Decimal:
    """One step of a product; // and % round down, as in Python and on paper."""
    if sign == "*":
        return left * right
    if not right:
        raise decimal.DivisionByZero
    if sign == "/":
        return left / right
    whole = (left / right).to_integral_value(rounding=decimal.ROUND_FLOOR)
    return whole if sign == "//" else left - right * whole


def _bounded(exponent: Decimal) -> Decimal:
    if abs(exponent) > MAX_EXPONENT:
        raise _invalid(f"the exponent {_shown(exponent)} is too large; {MAX_EXPONENT} is the most")
    return exponent


def _shown(value: Decimal) -> str:
    """Without trailing zeros; as a plain number where that takes at most 40 digits.

    The last of the 50 digits may be wrong after a division or a root, so those are not shown.
    """
    if value == value.to_integral_value() and value.adjusted() < 40:
        return f"{value.to_integral_value() + 0:f}"
    with decimal.localcontext(_CONTEXT, prec=SHOWN_DIGITS):
        rounded = (+value).normalize()
    if rounded == 0:
        return "0"
    return f"{rounded:f}" if -20 <= rounded.adjusted() < 40 else f"{rounded:e}"


def _invalid(problem: str) -> ValidationError:
    return ValidationError(
        "INVALID_EXPRESSION",
        f"The expression cannot be worked out: {problem}. Write it like (2 + 3) * 4 / 7",
    )
