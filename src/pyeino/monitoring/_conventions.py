"""The names of OpenTelemetry's conventions: one table, which spans, metrics, docs and tests read.

They are those of the GenAI conventions 1.41.1 (status: development), the last version in which
`gen_ai.client.token.usage` and `gen_ai.client.operation.duration` stand together. To move to
another version is to change this file.
"""

from __future__ import annotations

GENAI_VERSION = "1.41.1"
TRACER_NAME = "eino"

# --- the guide's own attributes -------------------------------------------------------------------

COMPONENT_TYPE = "component.type"
COMPONENT_NAME = "component.name"
COMPONENT_VERSION = "component.version"
INPUT_TYPE = "input.type"
OUTPUT_TYPE = "output.type"
ERROR_TYPE = "error.type"
ERROR_MESSAGE = "error.message"
CHAIN_NAME = "chain.name"
OPERATION = "operation"
EXECUTE = "execute"

# --- events ---------------------------------------------------------------------------------------

FIRST_CHUNK = "first_chunk"
CANCELLED = "cancelled"
EXCEPTION = "exception"

# --- GenAI attributes -----------------------------------------------------------------------------

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
WORKFLOW_NAME = "gen_ai.workflow.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_STOP = "gen_ai.request.stop_sequences"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 (a name, not a secret)  # nosec B105
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
DIMENSION_COUNT = "gen_ai.embeddings.dimension.count"
QUERY_TEXT = "gen_ai.retrieval.query.text"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

OPERATIONS = {
    "ChatModel": "chat",
    "Embedder": "embeddings",
    "Retriever": "retrieval",
    "Tool": "execute_tool",
    "Chain": "invoke_workflow",
    "Graph": "invoke_workflow",
    "Workflow": "invoke_workflow",
}
"""From the kind of a component to the operation that it is."""

PROVIDERS = {"openai": "openai", "local": "pyeino.local", "llamacpp": "pyeino.local"}
"""From our own name of a provider to the conventions' one; others stay what they are."""

REQUEST_OPTIONS = {
    "model": REQUEST_MODEL,
    "max_tokens": REQUEST_MAX_TOKENS,
    "temperature": REQUEST_TEMPERATURE,
    "top_p": REQUEST_TOP_P,
    "seed": REQUEST_SEED,
    "stop": REQUEST_STOP,
}
"""From an option of a model call to its attribute."""

CONTENT = frozenset({INPUT_MESSAGES, OUTPUT_MESSAGES, QUERY_TEXT, TOOL_ARGUMENTS, TOOL_RESULT})
"""What is only there when content is captured."""

# --- HTTP -----------------------------------------------------------------------------------------

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_SCHEME = "url.scheme"

# --- metrics: the conventions' name, our family's name is this with "_" and its unit --------------

TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 (a name, not a secret)  # nosec B105
OPERATION_DURATION = "gen_ai.client.operation.duration"
CLIENT_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
CLIENT_PER_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
SERVER_DURATION = "gen_ai.server.request.duration"
SERVER_FIRST_TOKEN = "gen_ai.server.time_to_first_token"  # noqa: S105 (a name, not a secret)  # nosec B105
SERVER_PER_TOKEN = "gen_ai.server.time_per_output_token"  # noqa: S105 (a name, not a secret)  # nosec B105

TOKEN_BUCKETS = tuple(float(4**power) for power in range(14))
SECOND_BUCKETS = tuple(round(0.01 * 2**power, 2) for power in range(14))
FIRST_TOKEN_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN_BUCKETS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2),
    *(0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)


def prometheus_name(name: str, unit: str = "") -> str:
    """A name of the conventions as Prometheus writes it: "_" for ".", the unit at the end."""
    return "_".join(filter(None, (name.replace(".", "_"), unit)))
