// The chat service as this page uses it: a streamed call, plain calls, errors that can be shown.

import { authorizedFetch, currentUser } from "./auth.js";
import { ROOT } from "./dom.js";
import { EventStreamParser } from "./sse.js";

/** The server sends a heartbeat every 10 s; silence this long means the line is dead. */
const SILENCE_MS = 60_000;

/** A failed request: `code` and `message` as the server gave them, `retryAfter` in seconds. */
export class ChatError extends Error {
  constructor(code, message, { status = 0, details = "", retryAfter = 0, partial = false } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.details = details;
    this.retryAfter = retryAfter;
    this.partial = partial;
  }
}

function retrySeconds(headers, metadata) {
  const milliseconds = Number(headers?.get("retry-after-ms"));
  if (milliseconds > 0) return milliseconds / 1000;
  const header = headers?.get("retry-after") ?? "";
  if (header) {
    const seconds = Number(header);
    const wait = Number.isFinite(seconds) ? seconds : (Date.parse(header) - Date.now()) / 1000;
    if (wait > 0) return wait;
  }
  return Number(metadata?.retry_after) || 0;
}

function fromBody(body, { status, headers, partial }) {
  const error = body?.error ?? {};
  const text = status ? `The server answered with status ${status}` : "The answer failed";
  return new ChatError(
    String(error.code ?? (status ? `HTTP_${status}` : "UNKNOWN_ERROR")),
    String(error.message ?? body?.detail ?? text),
    {
      status,
      details: typeof error.details === "string" ? error.details : "",
      retryAfter: retrySeconds(headers, error.metadata),
      partial,
    },
  );
}

async function refused(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // No JSON (a proxy's page, say): the status has to do.
  }
  return fromBody(body, { status: response.status, headers: response.headers, partial: false });
}

function unreachable(partial) {
  return partial
    ? new ChatError("CONNECTION_LOST", "The connection broke while the answer came in", { partial })
    : new ChatError("SERVER_UNREACHABLE", "The server cannot be reached");
}

async function readOrGiveUp(reader) {
  let timer = 0;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new TypeError("silence")), SILENCE_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}

function asJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ChatError("BAD_FRAME", "The server sent an event that is not JSON", {
      partial: true,
    });
  }
}

/**
 * One call of the API below /api/v1: the decoded body, null when there is none. Throws ChatError.
 */
export async function callApi(path, { method = "GET", body = null } = {}) {
  let response;
  try {
    response = await authorizedFetch(new URL(`api/v1/${path}`, ROOT), () => ({
      method,
      headers: { accept: "application/json", ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
      cache: "no-store",
    }));
  } catch {
    throw unreachable(false);
  }
  if (!response.ok) throw await refused(response);
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    throw new ChatError("BAD_ANSWER", "The server answered something that is not JSON");
  }
}

/**
 * Send `request` and yield its chunks {delta, seq, …} as they come; the last value yielded is the
 * terminal frame {terminal: "done" | "cancelled", …}. Throws ChatError, or AbortError when
 * `signal` fires; leaving the loop early aborts the request, which cancels the generation.
 */
export async function* streamChat(request, { signal }) {
  const control = new AbortController();
  const abort = () => control.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  let begun = false;
  try {
    const response = await authorizedFetch(new URL("api/v1/chat/stream", ROOT), () => ({
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ user_id: currentUser(), ...request }),
      signal: control.signal,
      cache: "no-store",
    }));
    if (!response.ok) throw await refused(response);
    begun = true;
    const parser = new EventStreamParser();
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await readOrGiveUp(reader);
      if (done) break;
      for (const { event, data } of parser.push(decoder.decode(value, { stream: true }))) {
        const body = asJson(data);
        if (event === "error") throw fromBody(body, { status: 0, headers: null, partial: true });
        if (event === "done" || event === "cancelled") {
          yield { ...body, terminal: event };
          return;
        }
        yield body;
      }
    }
    throw unreachable(true);
  } catch (error) {
    if (signal.aborted || error instanceof ChatError) throw error;
    throw unreachable(begun);
  } finally {
    signal.removeEventListener("abort", abort);
    control.abort();
  }
}

const REMEDIES = {
  SERVER_UNREACHABLE: "Check that `make run` is still running, then retry.",
  CONNECTION_LOST: "Check that the server is still running, then retry.",
  BAD_FRAME: "A proxy may be changing the stream; try the server's own address.",
  CONTEXT_LENGTH_EXCEEDED:
    "The conversation no longer fits into this model. Shorten the message or start a new chat.",
  QUEUE_FULL: "All places are taken at the moment. Wait a little, then retry.",
  SERVER_DRAINING: "The server is shutting down. Retry once it is back.",
  SERVER_STOPPED: "The server was stopped during the answer. Retry once it is back.",
  MODEL_NOT_FOUND: "Ask for one of the models that /v1/models lists.",
  SESSION_NOT_FOUND: "Start a new chat.",
  TIMEOUT: "Ask for less at once, or raise llm.timeout in the settings.",
  MODEL_FAILED: "Check PYEINO_LLM__API_KEY and PYEINO_LLM__BASE_URL, then retry.",
};

const REMEDIES_BY_STATUS = {
  401: "Sign in with an API key: send again, and the page asks for it.",
  403: "Open this page under the server's own address.",
  413: "The message is longer than the server accepts. Shorten it.",
  421: "Open this page as localhost, or allow this host name in the settings.",
  422: "Change the message and send it again.",
  429: "Too many requests at the moment. Wait a little, then retry.",
  503: "The server is busy or shutting down. Wait a little, then retry.",
};

/** What the reader can do about `error`, in one sentence. */
export function remedyFor(error) {
  if (REMEDIES[error.code]) return REMEDIES[error.code];
  if (REMEDIES_BY_STATUS[error.status]) return REMEDIES_BY_STATUS[error.status];
  if (error.status >= 400 && error.status < 500) return "Change the message and send it again.";
  return "Retry; if it happens again, look at the server's log.";
}

/** True when sending the same message again can help. */
export function canRetry(error) {
  const change = [400, 401, 403, 404, 405, 413, 415, 421, 422];
  return !change.includes(error.status) && error.code !== "CONTEXT_LENGTH_EXCEEDED";
}
