"""The route table: all that this server answers. Routing, OpenAPI and envelopes come from it."""

from __future__ import annotations

from functools import partial

from pyeino.server import _auth, _chat, _completions, _embeddings, _sessions
from pyeino.server._caller import SELF, SIGNED_IN
from pyeino.server._options import ServerOptions
from pyeino.server._routes_operations import admin_routes, page_routes, watch_routes
from pyeino.server._socket_frames import ClientFrame, ServerFrame
from pyeino.server._table import RouteEntry
from pyeino.server._websocket import SocketRoute, upgrade_required
from pyeino.service import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    MessagePage,
    MultiTurnChatRequest,
    SessionPage,
    SessionRecord,
)
from pyeino.wire import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    EmbeddingList,
    EmbeddingRequest,
    ModelCard,
    ModelList,
)

SOCKET = "/api/v1/ws"

_RUN_ERRORS = (404, 429, 500, 502, 503, 504)


def route_table(options: ServerOptions, *, auth: bool = True) -> tuple[RouteEntry, ...]:
    """Every route, in the order in which the documentation lists them.

    Without `auth` there are no tokens to get.
    """
    return (
        *_chat_routes(),
        *(_token_routes() if auth else ()),
        *_identity_routes(),
        *_session_routes(),
        *_one_session_routes(),
        *_openai_routes(),
        *watch_routes(options),
        *admin_routes(),
        *page_routes(),
    )


def _chat_routes() -> tuple[RouteEntry, ...]:
    return (
        RouteEntry(
            method="POST",
            path="/api/v1/chat",
            scope="chat",
            summary="Answer one message",
            handler=_chat.chat,
            tag="chat",
            request=ChatRequest,
            response=ChatResponse,
            errors=_RUN_ERRORS,
        ),
        RouteEntry(
            method="POST",
            path="/api/v1/chat/stream",
            scope="chat",
            summary="Answer one message as server-sent events: chunks, then done, error or "
            "cancelled",
            handler=_chat.chat_stream,
            tag="chat",
            request=ChatRequest,
            streamed=ChatChunk,
            errors=_RUN_ERRORS,
        ),
        RouteEntry(
            method="POST",
            path="/api/v1/chat/multi-turn",
            scope="chat",
            summary="Answer a conversation; the session's history comes before its messages",
            handler=_chat.multi_turn,
            tag="chat",
            request=MultiTurnChatRequest,
            response=ChatResponse,
            errors=_RUN_ERRORS,
        ),
        RouteEntry(
            method="POST",
            path="/api/v1/chat/multi-turn/stream",
            scope="chat",
            summary="Answer a conversation as server-sent events",
            handler=_chat.multi_turn_stream,
            tag="chat",
            request=MultiTurnChatRequest,
            streamed=ChatChunk,
            errors=_RUN_ERRORS,
        ),
        _socket_route(),
    )


def _socket_route() -> RouteEntry:
    return RouteEntry(
        method="GET",
        path=SOCKET,
        scope="chat",
        summary="Ask over a WebSocket: several requests at a time, each ended by one of done, "
        "error or cancelled",
        handler=upgrade_required,
        tag="chat",
        status=101,
        socket=partial(SocketRoute, path=SOCKET),
        frames=(ClientFrame, ServerFrame),
        errors=(403, 426),
    )


def _token_routes() -> tuple[RouteEntry, ...]:
    return (
        RouteEntry(
            method="POST",
            path="/api/v1/auth/token",
            scope=SIGNED_IN,
            summary="Get a pair of tokens for an API key; for another user with act_for_others",
            handler=_auth.issue_token,
            tag="auth",
            request=_auth.TokenRequest,
            optional_body=True,
            response=_auth.TokenGrant,
            errors=(403, 503),
        ),
        RouteEntry(
            method="POST",
            path="/api/v1/auth/refresh",
            scope=SELF,
            summary="Get the next pair for a refresh token, which is good once",
            handler=_auth.refresh_token,
            tag="auth",
            request=_auth.RefreshRequest,
            response=_auth.TokenGrant,
            errors=(401, 429, 503),
        ),
        RouteEntry(
            method="POST",
            path="/api/v1/auth/revoke",
            scope=SELF,
            summary="Sign out: end a token and all that came of the same sign-in",
            handler=_auth.revoke_token,
            tag="auth",
            request=_auth.RevokeRequest,
            status=204,
            errors=(401, 429, 503),
        ),
    )


def _identity_routes() -> tuple[RouteEntry, ...]:
    return (
        RouteEntry(
            method="GET",
            path="/api/v1/auth/me",
            scope=SIGNED_IN,
            summary="Say who the credentials stand for, and what they allow",
            handler=_auth.show_identity,
            tag="auth",
            response=_auth.Identity,
        ),
    )


def _session_routes() -> tuple[RouteEntry, ...]:
    return (
        RouteEntry(
            method="GET",
            path="/api/v1/sessions",
            scope="sessions",
            summary="List a user's sessions, newest first",
            handler=_sessions.list_sessions,
            tag="sessions",
            query=_sessions.PageQuery,
            response=SessionPage,
            errors=(503,),
        ),
        RouteEntry(
            method="POST",
            path="/api/v1/sessions",
            scope="sessions",
            summary="Begin a session",
            handler=_sessions.create_session,
            tag="sessions",
            request=_sessions.NewSession,
            status=201,
            response=SessionRecord,
            errors=(409, 503),
        ),
    )


def _one_session_routes() -> tuple[RouteEntry, ...]:
    # An id may hold anything that can be printed, a slash too: so the longer path comes first.
    one = "/api/v1/sessions/{session_id:path}"
    return (
        RouteEntry(
            method="GET",
            path=f"{one}/messages",
            scope="sessions",
            summary="List a session's messages, from either end",
            handler=_sessions.list_messages,
            tag="sessions",
            query=_sessions.MessagesQuery,
            response=MessagePage,
            errors=(404, 503),
        ),
        RouteEntry(
            method="GET",
            path=one,
            scope="sessions",
            summary="Look at a session",
            handler=_sessions.get_session,
            tag="sessions",
            query=_sessions.UserQuery,
            response=SessionRecord,
            errors=(404, 503),
        ),
        RouteEntry(
            method="PATCH",
            path=one,
            scope="sessions",
            summary="Set a session's title or metadata",
            handler=_sessions.update_session,
            tag="sessions",
            query=_sessions.UserQuery,
            request=_sessions.SessionChanges,
            response=SessionRecord,
            errors=(404, 503),
        ),
        RouteEntry(
            method="DELETE",
            path=one,
            scope="sessions",
            summary="Remove a session with its messages",
            handler=_sessions.delete_session,
            tag="sessions",
            query=_sessions.UserQuery,
            status=204,
            errors=(403, 404, 503),
        ),
    )


def _openai_routes() -> tuple[RouteEntry, ...]:
    return (
        RouteEntry(
            method="POST",
            path="/v1/chat/completions",
            scope="chat",
            summary="Answer a conversation, as OpenAI's API does; stream: true gives events",
            handler=_completions.completions,
            tag="openai",
            request=ChatCompletionRequest,
            response=ChatCompletion,
            streamed=ChatCompletionChunk,
            errors=_RUN_ERRORS,
        ),
        RouteEntry(
            method="POST",
            path="/v1/embeddings",
            scope="embeddings",
            summary="Turn texts into vectors, as OpenAI's API does",
            handler=_embeddings.embeddings,
            tag="openai",
            request=EmbeddingRequest,
            response=EmbeddingList,
            errors=(404, 500, 502, 503, 504),
        ),
        RouteEntry(
            method="GET",
            path="/v1/models",
            scope="models",
            summary="List the models",
            handler=_completions.list_models,
            tag="openai",
            response=ModelList,
        ),
        RouteEntry(
            method="GET",
            path="/v1/models/{model_id:path}",
            scope="models",
            summary="Describe one model",
            handler=_completions.get_model,
            tag="openai",
            response=ModelCard,
            errors=(404,),
        ),
    )
