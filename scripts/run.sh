#!/usr/bin/env bash
# make run: set up, fetch the default model when it is the one in use and absent, then serve.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'pyeino: %s\n' "$*" >&2; }

say "1/3 preparing .venv (the first time takes about a minute)"
scripts/setup-venv.sh run

case ${PYEINO_LLM__PROVIDER:-local} in
    local | llamacpp)
        say "2/3 looking for the small local model (fetched once into your cache folder)"
        .venv/bin/pyeino models pull
        ;;
    *) say "2/3 using the provider '$PYEINO_LLM__PROVIDER': no local model needed" ;;
esac

say "3/3 starting the server; stop it with Ctrl-C"
exec .venv/bin/pyeino serve
