"""A conversation with a server, over its native routes."""

from __future__ import annotations

import http.client
import re
from collections.abc import Generator, Iterator, Sequence
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from pyeino.cli._address import Address
from pyeino.cli._conversation import EARLIER_MESSAGES, USER, Session
from pyeino.cli._exit import UsageError
from pyeino.errors import PyeinoError
from pyeino.service import ChatChunk, MessagePage, MessageRecord
from pyeino.wire import ProblemDetails, SSEDecoder, SSEEvent

_NO_CONTROL = re.compile(r"[!-~]+")
_PATH = "/api/v1/chat/stream"
_LARGEST = 64 * 1024 * 1024
_CONNECT_TIMEOUT = 10.0
# A live stream is never quiet for longer than its heartbeats allow.
_READ_TIMEOUT = 60.0


class RemoteChatError(PyeinoError):
    """The server refused the question, or its answer broke off."""

    default_code = "REMOTE_CHAT_FAILED"


class _Identity(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str


def checked_key(text: str | None) -> str | None:
    """The key in `text`; None for none. Raises UsageError for what no header can carry."""
    if not text:
        return None
    if not _NO_CONTROL.fullmatch(text):
        raise UsageError("the API key holds a space or a character that no key has")
    return text


class RemoteConversation:
    """The turns of one conversation with the server at `address`.

    With an `api_key` (or a token) they belong to the user that it stands for, whom the server is
    asked for once.
    """

    def __init__(
        self, address: Address, *, session_id: str | None = None, api_key: str | None = None
    ) -> None:
        self._address = address
        self._credentials = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._user = USER if api_key is None else ""
        self._session = Session(session_id)
        self.model = ""

    @property
    def session_id(self) -> str:
        """The session that the turns belong to."""
        return self._session.session_id

    def earlier(self) -> Sequence[MessageRecord]:
        """The last messages of the session, oldest first; none when it is new."""
        session = quote(self.session_id, safe="")
        user = quote(self._user_id(), safe="")
        status, body = self._get(
            f"/api/v1/sessions/{session}/messages"
            f"?user_id={user}&order=desc&limit={EARLIER_MESSAGES}"
        )
        if status == 200:
            return msgspec.json.decode(body, type=MessagePage).items[::-1]
        refusal = _refused(status, body)
        if refusal.code == "SESSION_NOT_FOUND":
            return ()
        raise refusal

    def answer(self, message: str) -> Generator[ChatChunk]:
        """The chunks of the answer; closing the generator leaves, which stops the answer."""
        request = replace(self._session.request(message), user_id=self._user_id())
        connection = self._address.connect(timeout=_CONNECT_TIMEOUT)
        try:
            response = self._post(connection, msgspec.json.encode(request))
            for event in _events(response):
                chunk = _chunk_of(event)
                if chunk is None:
                    return
                yield chunk
            raise RemoteChatError(
                "the answer broke off: the server ended the stream without a last word",
                remedy="ask again; the server's log may say more",
            )
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _user_id(self) -> str:
        """The user that the credentials stand for."""
        if not self._user:
            status, body = self._get("/api/v1/auth/me")
            if status != 200:
                raise _refused(status, body)
            self._user = msgspec.json.decode(body, type=_Identity).user_id
        return self._user

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = self._address.connect(timeout=_CONNECT_TIMEOUT)
        headers = {"Accept": "application/json", **self._credentials}
        try:
            connection.request("GET", f"{self._address.prefix}{path}", headers=headers)
            response = connection.getresponse()
            return response.status, response.read(_LARGEST)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> RemoteChatError:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return RemoteChatError(
            f"{self._address} cannot be reached: {reason or type(error).__name__}",
            remedy="start the server with `pyeino serve`, or check --url",
        )

    def _post(
        self, connection: http.client.HTTPConnection, body: bytes
    ) -> http.client.HTTPResponse:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            **self._credentials,
        }
        connection.request("POST", f"{self._address.prefix}{_PATH}", body, headers)
        if connection.sock is not None:
            connection.sock.settimeout(_READ_TIMEOUT)
        response = connection.getresponse()
        if response.status != 200:
            raise _refused(response.status, response.read(1_048_576))
        return response


def _events(response: http.client.HTTPResponse) -> Iterator[SSEEvent]:
    decoder = SSEDecoder()
    while data := response.read1(65_536):
        yield from decoder.feed(data)


def _chunk_of(event: SSEEvent) -> ChatChunk | None:
    """The chunk in `event`; None for a terminal event that ends well."""
    if event.event in ("done", "cancelled"):
        return None
    if event.event == "error":
        raise _refused(0, event.data.encode())
    return msgspec.json.decode(event.data, type=ChatChunk)


def _refused(status: int, body: bytes) -> RemoteChatError:
    try:
        problem = msgspec.json.decode(body, type=ProblemDetails)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return RemoteChatError(
            f"the server answered {status} with something else than an error of pyeino",
            remedy="check that --url names a pyeino server",
        )
    if status == 401:
        return RemoteChatError(
            f"{problem.error.message} [{problem.error.code}]",
            code=problem.error.code,
            remedy="give an API key: PYEINO_API_KEY, or --api-key",
        )
    details = f"; {problem.error.details}" if problem.error.details else ""
    return RemoteChatError(
        f"{problem.error.message} [{problem.error.code}]{details}", code=problem.error.code
    )
