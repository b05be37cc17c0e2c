"""The words that `pyeino` understands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Any

Command = Callable[[argparse.Namespace], int]

_SECTIONS = {
    "answer": ("serve", "chat"),
    "operate": ("ingest", "worker", "health", "models", "config", "keys", "migrate"),
    "begin": ("new",),
    "measure": ("loadtest",),
    "look inside": ("graph", "version"),
}
_EXAMPLES = """\
examples:
  pyeino serve                                serve the built-in model on http://127.0.0.1:8080
  pyeino serve app:answer --port 9000         serve the chain `answer` of app.py as the chat chain
  pyeino serve --set llm.max_tokens=512       change one setting
  pyeino serve --chain summary=app:summary    a further chain, for options.chain
  pyeino chat                                 chat in the terminal, without a server
  pyeino chat "Why is the sky blue?"          one question
  pyeino chat --session plans                 go on with a session, or begin one of this name
  pyeino chat --url http://127.0.0.1:8080     chat with a running server
  pyeino ingest docs                          index a folder, so that answers cite it
  pyeino ingest docs --enqueue                leave the work to `pyeino worker`
  pyeino health                               exit code 0 when the server answers
  pyeino graph draw app:answer                the graph as Mermaid text
  pyeino loadtest --rate 50 --duration 10s    put the server on this machine under load
  pyeino keys create --user ann               an API key, shown once
  pyeino migrate --check                      whether the database fits this version
  pyeino new my-answers                       a project of your own to begin with
  pyeino config show --origin                 every setting, and where it comes from

exit codes: 0 ok, 1 failure, 2 wrong usage or settings, 130 interrupted
"""
_SETTINGS = """\
Settings come from the file that --config (or PYEINO_CONFIG) names, then from the environment
(PYEINO_SECTION__KEY, PORT, LOG_LEVEL, ENV, DATABASE_URL, REDIS_URL), then from flags.
`pyeino config show` lists them all.
"""
_INGEST = f"""\
Doing it again brings the index in line with the files: what has not changed is left alone, and
what is gone leaves the index. The files go into the storage (storage.url) and a job for each new or
changed one on the queue (queue.url); this process works on the queue until its jobs are done. When
it is killed, doing it again goes on where it was.

{_SETTINGS}"""
_OBJECT = "module:attribute, found from the current folder, such as app:answer"


class _Group:
    """A set of commands one of which has to be named; `listed` says what each is for."""

    def __init__(self, parser: argparse.ArgumentParser, *, title: str | None = "commands") -> None:
        # Without a title argparse lists nothing: the caller shows `listed` in sections of its own.
        self._silent = title is None
        self._commands = (
            parser.add_subparsers(metavar="COMMAND", prog=parser.prog, help=argparse.SUPPRESS)
            if title is None
            else parser.add_subparsers(metavar="COMMAND", title=title)
        )
        self.listed: dict[str, str] = {}

    def add(
        self, name: str, help: str, target: str = "", *, epilog: str = ""
    ) -> argparse.ArgumentParser:
        """A command that runs `target` ("module:function" of this room), or a group of more."""
        self.listed[name] = help
        shown: dict[str, Any] = {} if self._silent else {"help": help}
        parser = self._commands.add_parser(
            name,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **shown,
        )
        parser.set_defaults(run=_lazy(target) if target else _show_help(parser))
        parser.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks"
        )
        return parser


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; a command is in `run` of what it parses."""
    parser = argparse.ArgumentParser(
        prog="pyeino",
        usage="pyeino [-h] [--debug] [--version] COMMAND ...",
        description="Typed, streaming-first LLM applications, and the server around them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=_show_help(parser))
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = _Group(parser, title=None)
    _add_serve(commands)
    _add_chat(commands)
    _add_ingest(commands)
    _add_worker(commands)
    _add_health(commands)
    _add_models(commands)
    _add_loadtest(commands)
    _add_graph(commands)
    _add_config(commands)
    _add_keys(commands)
    _add_migrate(commands)
    _add_new(commands)
    commands.add("version", "print the version", "_version:show_version")
    parser.epilog = f"{_in_sections(commands.listed)}\n{_EXAMPLES}"
    return parser


def _in_sections(listed: dict[str, str]) -> str:
    lines: list[str] = []
    for title, names in _SECTIONS.items():
        lines.append(f"{title}:")
        lines.extend(f"  {name:<8}  {listed[name]}" for name in names)
        lines.append("")
    return "\n".join(lines)


def _add_serve(commands: _Group) -> None:
    serve = commands.add(
        "serve", "serve chat over HTTP until Ctrl-C", "_serve:serve", epilog=_SETTINGS
    )
    serve.add_argument(
        "chain", nargs="?", metavar="module:attribute", help=f"a compiled chain: {_OBJECT}"
    )
    serve.add_argument(
        "--chain",
        dest="further",
        action="append",
        default=[],
        metavar="name=module:attribute",
        help="a further chain, picked by options.chain; may be given again",
    )
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1; 0.0.0.0 with auth)")
    serve.add_argument("--port", help="port to listen on (default 8080; 0 takes a free one)")
    serve.add_argument("--workers", help="processes that answer (default 1; more need redis.url)")
    _add_settings(serve)


def _add_chat(commands: _Group) -> None:
    chat = commands.add(
        "chat",
        "chat in the terminal; Ctrl-C stops an answer, once more it ends",
        "_chat:chat",
        epilog=_SETTINGS,
    )
    chat.add_argument("message", nargs="?", help="one question; without it, a conversation")
    chat.add_argument(
        "--session", metavar="ID", help="go on with this session, and show what was said in it"
    )
    chat.add_argument("--url", help="a running server, such as http://127.0.0.1:8080")
    chat.add_argument(
        "--api-key",
        metavar="KEY",
        help="an API key or token of that server (better PYEINO_API_KEY: others see arguments)",
    )
    _add_settings(chat)


def _add_ingest(commands: _Group) -> None:
    ingest = commands.add(
        "ingest",
        "index the files of a folder, so that answers cite them",
        "_ingest:ingest",
        epilog=_INGEST,
    )
    ingest.add_argument("path", metavar="PATH", help="a folder or a file: .md .txt .html .pdf")
    ingest.add_argument("--index", help="the index (default: rag.vector_store.collection)")
    ingest.add_argument(
        "--origin",
        default="",
        help="a name for the folder, so that it may move (default: its path)",
    )
    ingest.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out files whose path below the folder fits, such as 'drafts/*'; repeatable",
    )
    ingest.add_argument(
        "--enqueue", action="store_true", help="only put the jobs on the queue, for `pyeino worker`"
    )
    _add_settings(ingest)


def _add_worker(commands: _Group) -> None:
    worker = commands.add(
        "worker",
        "do the ingestion jobs of the queue until Ctrl-C",
        "_worker:work",
        epilog="Any number of workers may share a queue; a job whose worker dies comes again.\n\n"
        + _SETTINGS,
    )
    _add_settings(worker)


def _add_health(commands: _Group) -> None:
    health = commands.add(
        "health",
        "exit code 0 when the server on this machine is well",
        "_health:health",
        epilog=_SETTINGS,
    )
    health.add_argument("--url", help="the server (default: this machine, at the port set)")
    health.add_argument("--ready", action="store_true", help="ask /ready instead of /health")
    health.add_argument(
        "--timeout", type=_seconds, default=2.5, help="seconds to wait (default 2.5)"
    )
    _add_settings(health)


def _add_models(commands: _Group) -> None:
    models = _Group(commands.add("models", "the local models"))
    pull = models.add("pull", "fetch a local model into the cache", "_models:pull_model")
    pull.add_argument(
        "name",
        nargs="?",
        help="its name, or the http(s) address of GGUF weights (default: the built-in model)",
    )
    pull.add_argument("--sha256", metavar="HEX", help="the checksum that the file has to have")
    models.add("list", "the local models and whether they are there", "_models:show_list")
    path = models.add("path", "where the file of a local model is", "_models:show_path")
    path.add_argument("name", nargs="?", help="its name (default: the built-in model)")


def _add_loadtest(commands: _Group) -> None:
    # The flags and their help are with the command: they are many.
    from pyeino.cli._loadtest_flags import EPILOG, add_flags

    add_flags(
        commands.add(
            "loadtest",
            "put a server under load and report what it takes; Ctrl-C reports what is there",
            "_loadtest:loadtest",
            epilog=EPILOG,
        )
    )


def _add_graph(commands: _Group) -> None:
    graph = _Group(commands.add("graph", "look at a compiled chain or graph"))
    draw = graph.add("draw", "print a graph as Mermaid text", "_graph:draw")
    explain = graph.add("explain", "print a graph as straight-line code", "_graph:explain")
    for parser in (draw, explain):
        parser.add_argument("object", metavar="module:attribute", help=_OBJECT)


def _add_config(commands: _Group) -> None:
    config = _Group(commands.add("config", "look at the settings"))
    show = config.add("show", "print every setting; secrets are masked", "_config:show")
    show.add_argument("--origin", action="store_true", help="and where each value comes from")
    check = config.add("check", "say what is wrong with the settings", "_config:check")
    for parser in (show, check):
        _add_settings(parser)
    init = config.add("init", "write a file with every setting and its default", "_config:init")
    init.add_argument(
        "file", nargs="?", default="configs/config.yaml", help="default: configs/config.yaml"
    )
    init.add_argument("--force", action="store_true", help="overwrite a file that is there")


def _add_keys(commands: _Group) -> None:
    keys = _Group(commands.add("keys", "API keys, and secrets for the settings"))
    create = keys.add(
        "create", "make an API key and print it, once", "_api_keys:create", epilog=_SETTINGS
    )
    create.add_argument("--user", required=True, help="the user that the key acts for")
    create.add_argument("--name", default="", help="what the key is for, to tell it by")
    create.add_argument(
        "--role",
        dest="roles",
        action="append",
        help="user (default), admin or metrics; may be given again",
    )
    create.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        help="only this, instead of all that the roles give; may be given again",
    )
    create.add_argument("--expires", metavar="DURATION", help="such as 90d (default: never)")
    listed = keys.add("list", "every API key, without its secret", "_api_keys:show_list")
    revoke = keys.add("revoke", "end an API key for good", "_api_keys:revoke")
    revoke.add_argument("prefix", metavar="PREFIX", help="the key's first column in the list")
    for parser in (create, listed, revoke):
        _add_settings(parser)
    keys.add(
        "secret",
        "print a fresh secret for auth.jwt_secret or database.encryption_key",
        "_api_keys:show_secret",
    )


def _add_migrate(commands: _Group) -> None:
    migrate = commands.add(
        "migrate",
        "bring the database to the schema of this version",
        "_migrate:migrate",
        epilog="`pyeino serve` does the same when it starts; nothing ever goes back.\n\n"
        + _SETTINGS,
    )
    migrate.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 when there is work"
    )
    _add_settings(migrate)


def _add_new(commands: _Group) -> None:
    new = commands.add("new", "write a project to begin with, tests and all", "_new:new")
    new.add_argument("name", metavar="NAME", help="lower-case letters, digits and hyphens")
    new.add_argument("--folder", help="where to write it (default: a new folder NAME)")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="a YAML file with settings")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="assignments",
        help="one setting, such as llm.max_tokens=512; may be given again",
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _lazy(target: str) -> Command:
    """The command at "module:function", imported when it runs: `--help` stays quick."""

    def run(arguments: argparse.Namespace) -> int:
        module, _, name = target.partition(":")
        command: Command = getattr(import_module(f"pyeino.cli.{module}"), name)
        return command(arguments)

    return run


def _show_help(parser: argparse.ArgumentParser) -> Command:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    return run
