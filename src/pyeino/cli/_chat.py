"""pyeino chat: a conversation in the terminal."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    suppress,
)
from importlib import import_module

import msgspec

from pyeino.cli._address import address_of
from pyeino.cli._conversation import Conversation
from pyeino.cli._exit import ExitCode, UsageError
from pyeino.cli._terminal import is_terminal, note, printable, say, stream_text
from pyeino.errors import PyeinoError
from pyeino.service import ChatChunk

API_KEY_VARIABLE = "PYEINO_API_KEY"


def chat(arguments: argparse.Namespace) -> int:
    """Answer one question, or talk until Ctrl-D, or Ctrl-C at the prompt."""
    if arguments.message is not None and not arguments.message.strip():
        raise UsageError("the question is empty")
    if arguments.session is not None and not arguments.session.strip():
        raise UsageError("the session has no name", remedy="leave --session out for a new one")
    with _open(arguments) as conversation:
        if arguments.message is not None:
            return ask_once(conversation, arguments.message)
        if arguments.session is not None:
            show_earlier(conversation)
        return talk(conversation)


def _open(arguments: argparse.Namespace) -> AbstractContextManager[Conversation]:
    if arguments.url:
        key = arguments.api_key or os.environ.get(API_KEY_VARIABLE)
        return _remote(arguments.url, arguments.session, key)
    if arguments.api_key:
        raise UsageError("--api-key is for a server", remedy="name it with --url")
    return _local(arguments)


@contextmanager
def _remote(url: str, session_id: str | None, api_key: str | None) -> Generator[Conversation]:
    from pyeino.cli._remote import RemoteConversation, checked_key

    yield RemoteConversation(address_of(url), session_id=session_id, api_key=checked_key(api_key))


@contextmanager
def _local(arguments: argparse.Namespace) -> Generator[Conversation]:
    from pyeino.cli._local import StreamingService, local_conversation
    from pyeino.cli._settings import settings_from
    from pyeino.wiring import build

    settings = settings_from(arguments)
    if settings.origins["logging.level"] == "default":
        # Log lines between the lines of a conversation help nobody who did not ask for them.
        quiet = msgspec.structs.replace(settings.logging, level="error")
        settings = msgspec.structs.replace(settings, logging=quiet)

    @asynccontextmanager
    async def open_service() -> AsyncGenerator[StreamingService]:
        async with build(settings) as application:
            yield application.service

    with local_conversation(open_service, session_id=arguments.session) as conversation:
        yield conversation


def ask_once(conversation: Conversation, message: str) -> int:
    """Print the answer to one question; Ctrl-C stops it and is exit code 130."""
    try:
        show_answer(conversation, message)
    except KeyboardInterrupt:
        say()
        note("(stopped)")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def talk(conversation: Conversation) -> int:
    """Questions from standard input until it ends; a failed answer does not end the talk."""
    human = is_terminal(sys.stdin)
    session_id = printable(conversation.session_id)
    if human:
        _enable_line_editing()
        who = f"{conversation.model} answers. " if conversation.model else ""
        note(f"{who}Ctrl-C stops an answer, Ctrl-D ends.")
    code = ExitCode.OK
    asked = False
    while True:
        try:
            message = input("> " if human else "").strip()
        except (EOFError, KeyboardInterrupt):
            if human:
                say()
                if asked:
                    note(f"Go on with: pyeino chat --session {shlex.quote(session_id)}")
            return code
        if not message:
            continue
        asked = True
        try:
            show_answer(conversation, message)
        except KeyboardInterrupt:
            say()
            note("(stopped)")
        except PyeinoError as error:
            note(f"pyeino: {printable(str(error))}")
            code = ExitCode.OK if human else ExitCode.FAILURE


def show_earlier(conversation: Conversation) -> None:
    """Say on standard error what was said before, so that it is not taken for an answer."""
    messages = conversation.earlier()
    if not messages:
        note(f"({printable(conversation.session_id)} is a new session)")
    for message in messages:
        mark = "> " if message.role == "user" else ""
        text = message.content or f"({message.error_code or message.status})"
        note(f"{mark}{printable(text)}")


def show_answer(conversation: Conversation, message: str) -> None:
    """Print an answer as it comes; leaving early stops it."""
    last: ChatChunk | None = None
    written = ""
    with closing(conversation.answer(message)) as chunks:
        for chunk in chunks:
            stream_text(chunk.delta)
            written = chunk.delta or written
            last = chunk
    if not written.endswith("\n"):
        say()
    if last is not None and is_terminal(sys.stderr) and is_terminal(sys.stdout):
        _show_cost(last)


def _show_cost(chunk: ChatChunk) -> None:
    parts: list[str] = []
    if chunk.token_usage is not None:
        parts.append(f"{chunk.token_usage.completion_tokens} tokens")
    if chunk.process_time is not None:
        parts.append(f"{chunk.process_time:.1f} s")
    if chunk.finish_reason not in (None, "stop"):
        parts.append(f"ended by {chunk.finish_reason}")
    if parts:
        note(f"\x1b[2m({', '.join(parts)})\x1b[0m")


def _enable_line_editing() -> None:
    # Importing it gives input() its line editing; not every system has it.
    with suppress(ImportError):
        import_module("readline")
