# The server as an image, in two forms:
#
#   docker build --target remote -t pyeino:remote .   for a model provider or an endpoint of your own
#   docker build -t pyeino:local .                    with the small local model and embedder inside
#
# The base is pinned by version. A release pins it by digest as well, so that a rebuild is the same
# to the byte: `docker buildx imagetools inspect python:3.11.14-slim-bookworm` shows the digest,
# and --build-arg PYTHON_IMAGE=python@sha256:… uses it. 3.11 is the version that every test of this
# repository runs on.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# ---- what only building needs --------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS build
ENV PIP_CACHE_DIR=/tmp/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
# The same folder as in the image that runs: the scripts of a virtual environment name their place.
RUN python -m venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
# Exact versions, of the build back end too. Bytecode is compiled here, because the root of the
# container that runs may be read-only. pip's cache is a mount of the builder's, not a layer.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/tmp/pip \
    pip install pip==26.3 && \
    pip install --compile --constraint constraints.txt --build-constraint constraints.txt \
        '.[server,security,redis,sql,postgres,documents,openai,jinja2,tracing,s3]'

FROM build AS build-local
ENV PYEINO_MODELS_DIR=/app/models
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/tmp/pip \
    pip install --compile --constraint constraints.txt --build-constraint constraints.txt \
        '.[local]' && \
    pyeino models pull

# ---- what runs -----------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS base
# A number, so that Kubernetes can see that it is not root; no shell, no home but /app.
RUN groupadd --gid 10001 appuser && \
    useradd --uid 10001 --gid 10001 --home-dir /app --no-create-home \
        --shell /usr/sbin/nologin appuser && \
    mkdir -p /app/data && \
    chown -R 10001:10001 /app
# /app/data is the only folder that the server writes to, and only where no database is named.
ENV PATH=/app/.venv/bin:$PATH \
    HOME=/app \
    XDG_DATA_HOME=/app/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY --chown=10001:10001 configs ./configs
EXPOSE 8080
VOLUME ["/app/data"]
USER 10001:10001
STOPSIGNAL SIGTERM
# An exit code and no further program. The start period covers loading the local model. With --url
# the check reads no settings, which keeps it well under its three seconds on half a core.
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s --retries=3 \
    CMD ["pyeino", "health", "--url", "http://127.0.0.1:8080"]
ENTRYPOINT ["pyeino"]
CMD ["serve"]

FROM base AS remote
COPY --from=build --chown=10001:10001 /app/.venv ./.venv

FROM base AS local
ENV PYEINO_MODELS_DIR=/app/models
COPY --from=build-local --chown=10001:10001 /app/.venv ./.venv
COPY --from=build-local --chown=10001:10001 /app/models ./models
