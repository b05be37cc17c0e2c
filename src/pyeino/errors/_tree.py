"""Errors of the framework itself.

    PyeinoError                     the root: code, expected, found, where, remedy
    ├── DeclarationError            a wrong Python call while declaring (also a TypeError)
    ├── CompileError                compile() found problems; carries all of them
    ├── GraphRunError               the engine could not go on (step limit, bad branch)
    ├── TemplateError               a template that cannot be parsed or rendered
    ├── ParseError                  text of a model that is not the value that was asked for
    ├── CodecError                  stored bytes, or a value to store, that the codec refuses
    ├── StreamError
    │   ├── StreamClosedError       read from or written to after its close
    │   ├── StreamLagError          one copy fell too far behind its siblings
    │   ├── EmptyStreamError        a value was asked of a stream that had none
    │   └── ConcatError             chunks that do not add up to one value
    ├── MissingDependencyError      an extra that is not installed (also an ImportError)
    └── AppError                    what a caller of the service sees (`_app.py`)

An error raised by a user's node passes through the engine unchanged; the path of the node
that raised it is attached and read back with `node_path(error)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

_PATH_ATTRIBUTE = "__pyeino_node_path__"
_NOTE_PREFIX = "node path: "

ErrorT = TypeVar("ErrorT", bound=BaseException)


class PyeinoError(Exception):
    """Root of every error that pyeino raises on its own account.

    `message` says what happened; `expected`, `found` and `where` make it precise and `remedy`
    says how to mend it. All of them are in `str(error)`, one after the other.
    """

    default_code: ClassVar[str] = "PYEINO_ERROR"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        where: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).default_code
        self.expected = expected
        self.found = found
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.message]
        if self.where:
            parts.append(f"at {self.where}")
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.found:
            parts.append(f"found {self.found}")
        if self.remedy:
            parts.append(self.remedy)
        return "; ".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy by state: the arguments of the constructors differ from `args`."""
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(kind: type[PyeinoError], args: tuple[Any, ...]) -> PyeinoError:
    return kind.__new__(kind, *args)


class DeclarationError(PyeinoError, TypeError):
    """A declaration was called wrongly (an unknown kind of node, a missing argument)."""

    default_code = "DECLARATION_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that compile() found: a stable `code`, the node `path`, and how to mend it."""

    code: str
    path: tuple[str, ...]
    message: str
    expected: str = ""
    found: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        where = " > ".join(self.path) or "graph"
        text = f"[{self.code}] {where}: {self.message}"
        if self.expected or self.found:
            text += f" (expected {self.expected or 'nothing'}, found {self.found or 'nothing'})"
        return f"{text}. {self.remedy}" if self.remedy else text


class CompileError(PyeinoError):
    """compile() refused a declaration; `problems` holds every reason, not just the first."""

    default_code = "COMPILE_ERROR"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
        super().__init__(f"{count} found by compile():{lines}")
        self.problems = problems


class GraphRunError(PyeinoError):
    """The engine could not go on: step limit reached, nothing to run, an unintended branch end."""

    default_code = "GRAPH_RUN_ERROR"


class TemplateError(PyeinoError, ValueError):
    """A template cannot be parsed, or a value that it needs is missing."""

    default_code = "TEMPLATE_ERROR"


class ParseError(PyeinoError, ValueError):
    """Text written by a model, an answer or a tool's arguments, is not the value asked for."""

    default_code = "PARSE_ERROR"


class CodecError(PyeinoError, ValueError):
    """A value cannot be stored, or stored bytes cannot be read; `where` is the path to the spot."""

    default_code = "CODEC_ERROR"


class StreamError(PyeinoError):
    """Something about a stream, not about an item that it carried."""

    default_code = "STREAM_ERROR"


class StreamClosedError(StreamError):
    """The stream was read from or written to after it had been closed."""

    default_code = "STREAM_CLOSED"


class StreamLagError(StreamError):
    """One copy of a stream fell further behind its siblings than its lag bound allows."""

    default_code = "STREAM_LAG"


class EmptyStreamError(StreamError):
    """A value was asked of a stream that ended without a single item."""

    default_code = "STREAM_EMPTY"


class ConcatError(StreamError):
    """Chunks that contradict each other, or whose type has no concatenation."""

    default_code = "CONCAT_ERROR"


class MissingDependencyError(PyeinoError, ImportError):
    """A part of pyeino needs an extra that is not installed."""

    default_code = "MISSING_DEPENDENCY"

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"{package!r} is not installed",
            remedy=f"install it with: pip install 'pyeino[{extra}]'",
        )
        self.package = package
        self.extra = extra


def with_node(error: ErrorT, node: str) -> ErrorT:
    """Put `node` in front of the node path of `error` and return the same error."""
    path = (node, *node_path(error))
    try:
        setattr(error, _PATH_ATTRIBUTE, path)
    except AttributeError:  # an exception class that refuses attributes (a frozen dataclass)
        return error
    notes = getattr(error, "__notes__", None)
    note = _NOTE_PREFIX + " > ".join(path)
    if notes and notes[-1].startswith(_NOTE_PREFIX):
        notes[-1] = note
    else:
        error.add_note(note)
    return error


def node_path(error: BaseException) -> tuple[str, ...]:
    """The path of the node that raised `error`, outermost graph first; () outside any graph."""
    path: tuple[str, ...] = getattr(error, _PATH_ATTRIBUTE, ())
    return path
