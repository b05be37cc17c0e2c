"""The text of an error as logs and spans tell it: without what its caller had written."""

from __future__ import annotations

from pyeino.errors import AppError, ErrorType

_QUOTES_ITS_CALLER = frozenset({ErrorType.VALIDATION, ErrorType.NOT_FOUND})


def told_text(error: BaseException) -> str:
    """`str(error)`, but a refused value by its code and field only: such a text quotes the caller.

    The caller has the whole text; whoever reads the log needs to know what was wrong, not what
    was written.
    """
    if not isinstance(error, AppError):
        return _text(error)
    field = error.metadata.get("field")
    if error.type not in _QUOTES_ITS_CALLER:
        text = f"{error.code}: {error.message}"
    else:
        text = f"{error.code} at {field}" if isinstance(field, str) else error.code
    return text if error.cause is None else f"{text} (caused by: {told_text(error.cause)})"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 (a broken __str__ must not break who records)
        return f"<{type(error).__name__}: no text ({type(broken).__name__})>"
