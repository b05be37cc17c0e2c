"""Assertions of the conformance kits; they hold under `python -O`, too."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from pyeino.errors import AppError


def expect(condition: object, promise: str) -> None:
    """Raise AssertionError with the broken promise unless `condition` holds."""
    if not condition:
        raise AssertionError(f"broken promise: {promise}")


def expect_equal(found: Any, expected: Any, promise: str) -> None:
    """Raise AssertionError with both values unless they are equal."""
    if found != expected:
        raise AssertionError(f"broken promise: {promise}; expected {expected!r}, found {found!r}")


async def expect_error(call: Awaitable[Any], code: str, promise: str) -> AppError:
    """Await `call`, which has to raise an AppError with `code`; returns that error."""
    try:
        result = await call
    except AppError as error:
        expect_equal(error.code, code, promise)
        return error
    raise AssertionError(f"broken promise: {promise}; expected {code}, found {result!r}")
