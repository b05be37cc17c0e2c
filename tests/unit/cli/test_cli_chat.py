"""pyeino serve and chat: the same conversation in this process and over HTTP."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyeino.cli import main
from pyeino.cli._address import address_of
from pyeino.cli._chat import ask_once, talk
from pyeino.cli._local import OpenService, StreamingService, local_conversation
from pyeino.cli._remote import RemoteChatError, RemoteConversation
from pyeino.cli._terminal import ProgressBar, format_size, printable
from pyeino.compose import Chain
from pyeino.errors import PyeinoError
from pyeino.schema import Message
from pyeino.service import ChatChunk, ChatService, MessageRecord
from pyeino.wiring import as_chat_chain, build, load_settings

_APP = """
import asyncio
from collections.abc import AsyncIterator
from pyeino.compose import Chain
from pyeino.errors import ExternalError
from pyeino.schema import Message

async def speak(messages: list[Message]) -> AsyncIterator[str]:
    question = messages[-1].content
    if question == "fail":
        raise ExternalError("MODEL_FAILED", "the model is out")
    if question == "for ever":
        while True:
            yield "tick "
            await asyncio.sleep(0.01)
    yield f"{len(messages)}:"
    yield question.upper()

answer = Chain(list[Message]).then(speak).compile(name="speak")
wrong = Chain(int).then(lambda number: number).compile(name="wrong")
"""


@dataclass(frozen=True, kw_only=True)
class Served:
    url: str
    folder: Path
    process: subprocess.Popen[str]


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{folder}/p.db"}
    return subprocess.Popen(
        [sys.executable, "-m", "pyeino", "serve", "chatapp:answer", "--port", "0", *arguments],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "chatapp.py").write_text(_APP)
    with _start(folder) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("pyeino is ready: http://127.0.0.1:"), process.communicate()
        try:
            yield Served(url=line.split()[3], folder=folder, process=process)
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert '"message":"Server stopped"' in log


def test_one_question_over_http(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--url", served.url, "hello"]) == 0
    assert capsys.readouterr().out == "1:HELLO\n"
    assert main(["health", "--ready", "--url", served.url]) == 0


def test_a_conversation_over_http_keeps_its_session(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n\ntwo\n"))
    assert main(["chat", "--url", served.url]) == 0
    assert capsys.readouterr().out == "1:ONE\n3:TWO\n"


def test_a_session_is_gone_on_with_and_shows_what_was_said(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["chat", "--url", served.url, "--session", "my plans/1"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n"))
    assert main(command) == 0
    new = capsys.readouterr()
    assert (new.out, new.err) == ("1:ONE\n", "(my plans/1 is a new session)\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("two\n"))
    assert main(command) == 0
    old = capsys.readouterr()
    assert old.out == "3:TWO\n"
    assert old.err == "> one\n1:ONE\n"  # on standard error: it is no answer
    assert main([*command, "fail"]) == 1
    assert main([*command, "three"]) == 0
    assert capsys.readouterr().out == "5:THREE\n"
    assert main(["chat", "--session", " ", "x"]) == 2
    assert "the session has no name" in capsys.readouterr().err


def test_a_failing_answer_is_a_message(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["chat", "--url", served.url, "fail"]) == 1
    error = capsys.readouterr().err
    assert "the model is out [MODEL_FAILED]" in error
    assert "Traceback" not in error
    monkeypatch.setattr(sys, "stdin", io.StringIO("fail\nstill there\n"))
    assert main(["chat", "--url", served.url]) == 1
    captured = capsys.readouterr()
    assert "the model is out" in captured.err
    assert captured.out.endswith("STILL THERE\n")


def test_leaving_early_stops_the_answer_and_the_talk_goes_on(served: Served) -> None:
    conversation = RemoteConversation(address_of(served.url))
    with closing(conversation.answer("for ever")) as chunks:
        assert next(chunks).delta == "tick "
    assert "".join(chunk.delta for chunk in conversation.answer("next")).endswith("NEXT")


def test_ctrl_c_stops_the_answer_of_the_program(served: Served) -> None:
    command = [sys.executable, "-m", "pyeino", "chat", "--url", served.url, "for ever"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == "tick "
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "(stopped)\n"


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--url", "http://127.0.0.1:9", "hello"]) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert main(["chat", "--url", "http://127.0.0.1:9", "  "]) == 2
    assert "the question is empty" in capsys.readouterr().err


def test_a_port_in_use_is_one_message(served: Served) -> None:
    port = served.url.rpartition(":")[2]
    with _start(served.folder, "--port", port) as second:
        _, error = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"port {port} on 127.0.0.1 is already in use" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("target", "words"), [("chatapp:wrong", "one over int"), ("chatapp:speak", "is no chain")]
)
def test_a_chain_that_cannot_be_served_is_exit_code_2(
    target: str,
    words: str,
    served: Served,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(served.folder)
    monkeypatch.syspath_prepend(str(served.folder))
    assert main(["serve", target]) == 2
    assert words in capsys.readouterr().err
    sys.modules.pop("chatapp", None)


async def _count(messages: list[Message]) -> AsyncIterator[str]:
    yield f"{len(messages)} {messages[-1].content}"
    while messages[-1].content == "for ever":
        yield "tick"
        await asyncio.sleep(0.01)


def _service(folder: Path, seen: list[ChatService] | None = None) -> OpenService:
    chain = as_chat_chain(Chain(list[Message]).then(_count).compile(name="c"), name="app:c")
    settings = load_settings(
        env={}, overrides={"database.url": f"sqlite:///{folder}/p.db", "logging.level": "fatal"}
    )

    @asynccontextmanager
    async def open_service() -> AsyncGenerator[StreamingService]:
        async with build(settings, chat_chain=chain) as application:
            if seen is not None:
                seen.append(application.service)
            yield application.service

    return open_service


def test_a_conversation_in_this_process(tmp_path: Path) -> None:
    with local_conversation(_service(tmp_path)) as conversation:
        assert conversation.model == "c"
        answers = ["".join(c.delta for c in conversation.answer(word)) for word in ("a", "b")]
    assert answers == ["1 a", "3 b"]
    assert not [one for one in threading.enumerate() if one.name.startswith("pyeino")]


def test_earlier_turns_in_this_process(tmp_path: Path) -> None:
    with local_conversation(_service(tmp_path), session_id="s1") as conversation:
        assert conversation.session_id == "s1"
        assert list(conversation.earlier()) == []
        assert "".join(c.delta for c in conversation.answer("a")) == "1 a"
    with local_conversation(_service(tmp_path), session_id="s1") as conversation:
        assert [(one.role, one.content) for one in conversation.earlier()] == [
            ("user", "a"),
            ("assistant", "1 a"),
        ]
        assert "".join(c.delta for c in conversation.answer("b")) == "3 b"


def test_leaving_early_in_this_process_stops_the_run(tmp_path: Path) -> None:
    services: list[ChatService] = []
    with local_conversation(_service(tmp_path, services)) as conversation:
        with closing(conversation.answer("for ever")) as chunks:
            assert next(chunks).delta == "1 for ever"
        assert services[0].active_runs == 0
        assert "".join(c.delta for c in conversation.answer("b")).endswith(" b")


def test_a_service_that_cannot_open_is_told_to_the_caller() -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[StreamingService]:
        raise PyeinoError("no model", remedy="pull it")
        yield

    with pytest.raises(PyeinoError, match="no model; pull it"), local_conversation(broken):
        pass


class Scripted:
    """A conversation whose answers break off as told."""

    model = "scripted"
    session_id = "scripted-1"

    def __init__(self, *errors: BaseException | None) -> None:
        self._errors = list(errors)
        self.closed = 0

    def earlier(self) -> Sequence[MessageRecord]:
        return ()

    def answer(self, message: str) -> Generator[ChatChunk]:
        try:
            yield ChatChunk(message_id="m", seq=0, delta=f"{message}\x1b[31m")
            error = self._errors.pop(0)
            if error is not None:
                raise error
        finally:
            self.closed += 1


def test_ctrl_c_stops_an_answer_and_the_next_question_is_taken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))
    conversation = Scripted(KeyboardInterrupt(), None)
    assert talk(conversation) == 0
    captured = capsys.readouterr()
    assert captured.err == "(stopped)\n"
    assert captured.out == "one[31m\ntwo[31m\n"  # and no control character
    assert conversation.closed == 2


def test_ctrl_c_at_the_prompt_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert talk(Scripted()) == 0


def test_a_person_is_told_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = iter(["one"])

    def typed(prompt: str) -> str:
        for question in questions:
            return question
        raise EOFError

    monkeypatch.setattr("builtins.input", typed)
    monkeypatch.setattr("pyeino.cli._chat.is_terminal", lambda stream: stream is sys.stdin)
    assert talk(Scripted(None)) == 0
    assert "pyeino chat --session scripted-1" in capsys.readouterr().err


def test_ctrl_c_in_a_single_answer_is_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_once(Scripted(KeyboardInterrupt()), "x") == 130
    assert capsys.readouterr().err == "(stopped)\n"


def test_an_answer_that_breaks_off_is_an_error(served: Served) -> None:
    conversation = RemoteConversation(address_of(f"{served.url}/nowhere"))
    with pytest.raises(RemoteChatError, match=r"\[ROUTE_NOT_FOUND\]|NOT_FOUND"):
        list(conversation.answer("x"))


def test_terminal_helpers() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    bar = ProgressBar("model", stream=screen)
    bar.update(50_000_000, 100_000_000)
    bar.update(100_000_000, 100_000_000)
    bar.finish()
    assert "50% 50.0 MB of 100.0 MB" in screen.getvalue()
    assert screen.getvalue().endswith("\n")
    pipe = io.StringIO()
    quiet = ProgressBar("model", stream=pipe)
    quiet.update(1, None)
    quiet.finish()
    assert pipe.getvalue() == ""
    assert [format_size(size) for size in (5, 1500, 98_362_432, 3e9)] == [
        *("5 B", "1.5 kB", "98.4 MB", "3.0 GB")
    ]
    assert printable("a\tb\nc\x1b[0m\x07\x9b") == "a\tb\nc[0m"
