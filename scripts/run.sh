#!/usr/bin/env bash
# make run: set up, fetch the default model when it is the one in use and absent, index docs/, serve.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'pyeino: %s\n' "$*" >&2; }

say "1/4 preparing .venv (the first time takes about a minute)"
scripts/setup-venv.sh run

case ${PYEINO_LLM__PROVIDER:-local} in
    local)
        say "2/4 looking for the small local model (fetched once into your cache folder)"
        .venv/bin/pyeino models pull
        ;;
    *) say "2/4 using the provider '$PYEINO_LLM__PROVIDER': no local model needed" ;;
esac

# Before the server and not beside it: the first question is then answered from it, and later
# starts only look whether a file has changed. The page of the guide's names is a list to look things
# up in: as long as all other pages together, and no answer to a question.
case "${PYEINO_RAG__VECTOR_STORE__PROVIDER:-database}/${PYEINO_RAG__EMBEDDING__PROVIDER:-local}" in
    database/local | sqlite/local)
        say "3/4 indexing docs/, so that questions about pyeino are answered from it"
        .venv/bin/pyeino ingest docs --origin pyeino --exclude 'from-the-guide*' || say "going on without docs/ in the index"
        ;;
    *) say "3/4 leaving docs/ out: pyeino ingest docs puts it into your index" ;;
esac

say "4/4 starting the server; stop it with Ctrl-C"
exec .venv/bin/pyeino serve
