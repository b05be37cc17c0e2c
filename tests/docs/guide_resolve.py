"""Whether what the page `from-the-guide` refers to is there: one function for each kind."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import inspect
import io
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import jwt
import yaml
from guide_kit import ROOT, Reference, labels_of
from span_kit import kept_spans

from pyeino.cli._new import write_project
from pyeino.cli._parser import build_parser
from pyeino.integrations.memory import MemoryDatabase, MemoryRateLimit
from pyeino.monitoring import (
    ComponentLogger,
    Metrics,
    StructuredLogger,
    trace_chain_execution,
    tracing_middleware,
)
from pyeino.monitoring import _families as families
from pyeino.security import AuthService
from pyeino.server import ServerOptions, create_app
from pyeino.server._routes import route_table
from pyeino.service import (
    ChatService,
    ProcessorConfig,
    create_query_processor,
    default_chat_chain,
)
from pyeino.testing import ScriptedChatModel
from pyeino.wiring import load_settings, parse_duration, setting_rows

SECRET = "0123456789abcdef0123456789abcdef"


class Unresolved(Exception):
    """A reference that leads nowhere, and why."""


def resolve_python(path: str) -> Any:
    """The object at a dotted path; a field or a parameter by its name where there is no object."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise
            continue
        for position, attribute in enumerate(parts[end:], end + 1):
            if hasattr(found, attribute):
                found = getattr(found, attribute)
            elif position == len(parts) and attribute in _inner_names(found):
                return attribute
            else:
                raise Unresolved(f"{'.'.join(parts[: position - 1])} has no {attribute}")
        return found
    raise Unresolved(f"nothing to import in {path}")


def _inner_names(found: Any) -> set[str]:
    names = set(getattr(found, "__struct_fields__", ()))
    if dataclasses.is_dataclass(found):
        names |= {field.name for field in dataclasses.fields(found)}
    if callable(found):
        names |= set(inspect.signature(found).parameters)
    return names


def check_python(reference: Reference) -> None:
    """A module, class, function, field or parameter; its value where the page names one."""
    found = resolve_python(reference.target)
    if reference.value:
        value = getattr(found, "default_status", found)
        if str(value) != reference.value:
            raise Unresolved(f"it is {value}")


@cache
def _settings() -> dict[str, Any]:
    rows = setting_rows(load_settings(env={}))
    return {row.key: _read(row.value) for row in rows}


def _read(shown: str) -> Any:
    try:
        return ast.literal_eval(shown)
    except (SyntaxError, ValueError):
        return shown  # a secret, masked


def check_key(reference: Reference) -> None:
    """A key of the settings with its default."""
    settings = _settings()
    if reference.target not in settings:
        raise Unresolved("no such key")
    found, expected = settings[reference.target], reference.value
    same = expected in ("", str(found)) or (
        re.fullmatch(r"\d+s", expected) is not None and _seconds(found) == parse_duration(expected)
    )
    if not same:
        raise Unresolved(f"its default is {found!r}")


def _seconds(found: Any) -> float:
    return float(found) if isinstance(found, int | float) else parse_duration(found)


@cache
def metric_families() -> dict[str, families.Family]:
    """The metric families by name."""
    found = (value for value in vars(families).values() if isinstance(value, families.Family))
    return {family.name: family for family in found}


@cache
def _scrape() -> str:
    return Metrics().render()[0].decode()


def check_metric(reference: Reference) -> None:
    """A metric family with these labels, which a scrape names with its help."""
    name, labels = labels_of(reference.target)
    family = metric_families().get(name)
    if family is None or family.labels != labels:
        raise Unresolved(f"it is {family}")
    if f"# HELP {name} {family.help}" not in _scrape():
        raise Unresolved("no scrape names it")


async def sent_headers() -> dict[str, str]:
    """The headers of answers that the application gave over TLS, one of them a refusal."""
    rows, logger = MemoryDatabase().scope(), StructuredLogger(sink=io.StringIO())
    model = ScriptedChatModel()
    metrics = Metrics()
    chain = default_chat_chain(model)
    async with ChatService(
        chain, None, None, rows.sessions, rows.messages, logger, metrics
    ) as service:
        options = ServerOptions(requests_per_minute=1, burst=1, allowed_hosts=("*",))
        app = create_app(
            service, options=options, metrics=metrics, logger=logger, rate_limits=MemoryRateLimit()
        )
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://chat.example") as http:
            answers = [await http.get("/v1/models"), await http.get("/v1/models")]
    logger.close()
    assert [answer.status_code for answer in answers] == [200, 429]
    return {name: value for answer in answers for name, value in answer.headers.items()}


def check_header(reference: Reference, sent: dict[str, str]) -> None:
    """A header that is really sent, with its value where the page names one."""
    name, _, value = reference.target.partition(": ")
    found = sent.get(name.lower())
    if found is None or value not in ("", found):
        raise Unresolved(f"sent is {found!r}")


@cache
def _routes() -> set[str]:
    return {f"{row.method} {row.path}" for row in route_table(ServerOptions(), auth=True)}


@cache
def _strings() -> set[str]:
    """Every string constant of the package, parts of f-strings included."""
    found: set[str] = set()
    for path in (ROOT / "src" / "pyeino").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.strip())
    return found


@cache
def known_tests() -> frozenset[str]:
    """The name of every test in the tree."""
    return frozenset(
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    )


def check_text(reference: Reference) -> None:
    """A text that our code holds, word for word."""
    if reference.target not in _strings():
        raise Unresolved("no string of the package")


def check_code(reference: Reference) -> None:
    """An error code that is raised and documented."""
    check_text(reference)
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    if (
        reference.target not in page
        and not (ROOT / "docs/errors" / f"{reference.target}.md").exists()
    ):
        raise Unresolved("not documented")


def check_file(reference: Reference) -> None:
    """A file or folder of the repository."""
    if not (ROOT / reference.target).exists():
        raise Unresolved("no such file")


def check_in(reference: Reference) -> None:
    """A text in a file of the repository."""
    path, text = reference.target.split("#", 1)
    if text not in (ROOT / path).read_text(encoding="utf-8"):
        raise Unresolved("not in that file")


def check_yaml(reference: Reference) -> None:
    """A path in a YAML file, by `Kind/name` first in a manifest; with its value."""
    path, inside = reference.target.split("#", 1)
    inside, _, value = inside.partition("=")
    found: Any = None
    documents = list(yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")))
    if "/" in inside.split(".")[0]:
        kind, _, rest = inside.partition("/")
        name, _, inside = rest.partition(".")
        documents = [
            one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name)
        ]
    if len(documents) != 1:
        raise Unresolved(f"{len(documents)} documents")
    found = documents[0]
    for step in inside.split(".") if inside else ():
        found = found[int(step)] if isinstance(found, list) else _item(found, step)
    if value and str(found) != value:
        raise Unresolved(f"it is {found!r}")


def _item(found: Any, step: str) -> Any:
    if not isinstance(found, dict) or step not in found:
        raise Unresolved(f"no {step}")
    return found[step]


def check_route(reference: Reference) -> None:
    """A row of the route table."""
    if reference.target not in _routes():
        raise Unresolved("no such route")


def check_package(reference: Reference) -> None:
    """A package that we declare to need, by itself or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    lines += [line for extra in project["optional-dependencies"].values() for line in extra]
    if reference.target not in {re.split(r"[\[<>=;~ ]", line, maxsplit=1)[0] for line in lines}:
        raise Unresolved("not declared")


def check_command(reference: Reference) -> None:
    """A command of the command line."""
    if f"  {reference.target.removeprefix('pyeino ')} " not in build_parser().format_help():
        raise Unresolved("not in the help")


def check_make(reference: Reference) -> None:
    """A target of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    if not re.search(rf"^{reference.target}:", text, re.M):
        raise Unresolved("no such target")


def check_new(reference: Reference, project: Path) -> None:
    """A file or folder of the project that `pyeino new` wrote at `project`."""
    path = reference.target.replace("src/", f"src/{project.name}/", 1)
    if not (project / path).exists():
        raise Unresolved("not written")


def written_project(folder: Path) -> Path:
    """A project of `pyeino new` below `folder`."""
    write_project(folder / "sample", name="sample", package="sample")
    return folder / "sample"


async def traced() -> tuple[set[str], dict[str, set[Any]]]:
    """Names of real spans, and the attributes on them with their values."""

    async def answer(question: str) -> str:
        if not question:
            raise LookupError("nothing asked")
        return question

    attributes: dict[str, set[Any]] = {}
    with kept_spans() as kept:
        call = tracing_middleware("{component_type}", "{component_name}", tracing=kept.tracing)
        await call(answer)("x")
        with contextlib.suppress(LookupError):
            await call(answer)("")
        await trace_chain_execution("{chain_name}", lambda: answer("x"), tracing=kept.tracing)
        names = {span.name for span in kept.spans()}
        for span in kept.spans():
            for key, value in (span.attributes or {}).items():
                attributes.setdefault(key, set()).add(value)
    return names, attributes


async def logged() -> set[str]:
    """The fields of real log lines: a component's, a processor's, one inside a span."""
    sink = io.StringIO()
    logger = StructuredLogger(sink=sink, level="debug")
    with kept_spans() as kept:
        component = ComponentLogger(logger, "ChatModel", "small")
        with kept.tracing.span("here"):
            component.log_execution("generate", 0.1)
        component.log_execution("generate", 0.1, LookupError("none"))
        component.log_input("a")
        component.log_output("b")
        await create_query_processor(ProcessorConfig(logger=logger)).invoke("a question")
        logger.error("Chain execution failed", user_id="somebody")
    logger.flush()
    logger.close()
    return set(_keys(sink.getvalue()))


def _keys(lines: str) -> Iterator[str]:
    for line in lines.splitlines():
        yield from json.loads(line)


def claims() -> set[str]:
    """The claims of a real token."""
    token = AuthService(SECRET).generate_token("ann", ["user"])
    return set(jwt.decode(token, SECRET, algorithms=["HS256"], audience="pyeino"))
