"""A conversation with a server, over its native routes."""

from __future__ import annotations

import http.client
from collections.abc import Generator, Iterator, Sequence
from urllib.parse import quote

import msgspec

from pyeino.cli._address import Address
from pyeino.cli._conversation import EARLIER_MESSAGES, USER, Session
from pyeino.errors import PyeinoError
from pyeino.service import ChatChunk, MessagePage, MessageRecord
from pyeino.wire import ProblemDetails, SSEDecoder, SSEEvent

_PATH = "/api/v1/chat/stream"
_LARGEST = 64 * 1024 * 1024
_CONNECT_TIMEOUT = 10.0
# A live stream is never quiet for longer than its heartbeats allow.
_READ_TIMEOUT = 60.0


class RemoteChatError(PyeinoError):
    """The server refused the question, or its answer broke off."""

    default_code = "REMOTE_CHAT_FAILED"


class RemoteConversation:
    """The turns of one conversation with the server at `address`."""

    def __init__(self, address: Address, *, session_id: str | None = None) -> None:
        self._address = address
        self._session = Session(session_id)
        self.model = ""

    @property
    def session_id(self) -> str:
        """The session that the turns belong to."""
        return self._session.session_id

    def earlier(self) -> Sequence[MessageRecord]:
        """The last messages of the session, oldest first; none when it is new."""
        session = quote(self.session_id, safe="")
        path = (
            f"{self._address.prefix}/api/v1/sessions/{session}/messages"
            f"?user_id={USER}&order=desc&limit={EARLIER_MESSAGES}"
        )
        connection = self._address.connect(timeout=_CONNECT_TIMEOUT)
        try:
            connection.request("GET", path, headers={"Accept": "application/json"})
            response = connection.getresponse()
            body = response.read(_LARGEST)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()
        if response.status == 200:
            return msgspec.json.decode(body, type=MessagePage).items[::-1]
        refusal = _refused(response.status, body)
        if refusal.code == "SESSION_NOT_FOUND":
            return ()
        raise refusal

    def answer(self, message: str) -> Generator[ChatChunk]:
        """The chunks of the answer; closing the generator leaves, which stops the answer."""
        connection = self._address.connect(timeout=_CONNECT_TIMEOUT)
        try:
            response = self._post(connection, msgspec.json.encode(self._session.request(message)))
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

    def _unreachable(self, error: Exception) -> RemoteChatError:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return RemoteChatError(
            f"{self._address} cannot be reached: {reason or type(error).__name__}",
            remedy="start the server with `pyeino serve`, or check --url",
        )

    def _post(
        self, connection: http.client.HTTPConnection, body: bytes
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
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
    details = f"; {problem.error.details}" if problem.error.details else ""
    return RemoteChatError(
        f"{problem.error.message} [{problem.error.code}]{details}", code=problem.error.code
    )
