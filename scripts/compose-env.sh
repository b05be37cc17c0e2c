#!/usr/bin/env bash
# make compose-env: random secrets for docker-compose.yml, in .env and .secrets/; neither is committed.
#
# .env is the one place to look and to change something. .secrets/ holds the same secrets, one file
# each, because containers get them as files: what stands in the environment of a container can be
# read with `docker inspect`. Run it again after changing .env; what is there is never replaced.
# PYEINO_COMPOSE_DIR writes elsewhere.
set -euo pipefail
cd "${PYEINO_COMPOSE_DIR:-$(dirname "$0")/..}"
umask 077

random_text() { # BYTES: URL-safe, so that it may stand in an address
    head -c "$1" /dev/urandom | base64 | tr -d '\n=' | tr '+/' '-_'
}
random_hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
random_key() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }
have() { grep -qs "^$1=" .env; }
value_of() { sed -n "s/^$1=//p" .env | tail -n 1; }
add() { # NAME VALUE COMMENT
    have "$1" || printf '# %s\n%s=%s\n' "$3" "$1" "$2" >>.env
}

fresh=yes
[ -s .env ] && fresh=no
touch .env
chmod 600 .env
add PYEINO_TARGET local "the image: local (a small model inside) or remote (a provider, below)"
add PYEINO_LLM__PROVIDER local "local, or openai with the three that follow"
add PYEINO_LLM__MODEL smollm2-135m-instruct "the provider's name for the model"
add PYEINO_LLM__BASE_URL "" "empty: the provider's own address"
add PYEINO_LLM__API_KEY "" "the provider's key"
add PYEINO_RAG__EMBEDDING__PROVIDER local "local, openai or none; the image remote has no local one"
add PYEINO_AUTH__BOOTSTRAP_KEY "pyk_$(random_hex 6)_$(random_hex 32)" \
    "the first API key, with every scope: X-API-Key of your first request"
add PYEINO_AUTH__JWT_SECRET "$(random_text 48)" "signs access tokens"
add PYEINO_DATABASE__ENCRYPTION_KEY "$(random_key)" "encrypts stored messages; without it they are lost"
add PYEINO_METRICS__TOKEN "$(random_text 32)" "what Prometheus shows at /metrics"
add POSTGRES_PASSWORD "$(random_text 24)" "of PostgreSQL's superuser"
add EINO_DATABASE_PASSWORD "$(random_text 24)" "of the user that the server connects as"
add REDIS_PASSWORD "$(random_text 24)" "of Valkey"
add GRAFANA_ADMIN_PASSWORD "$(random_text 18)" "of Grafana's user admin, http://127.0.0.1:3000"

# Nobody else on this machine can enter the folder; inside a container a numeric user reads the file.
mkdir -p .secrets
chmod 700 .secrets
secret() { # FILE TEXT
    printf '%s' "$2" >".secrets/$1.new"
    chmod 444 ".secrets/$1.new"
    mv -f ".secrets/$1.new" ".secrets/$1"
}
secret bootstrap_key "$(value_of PYEINO_AUTH__BOOTSTRAP_KEY)"
secret jwt_secret "$(value_of PYEINO_AUTH__JWT_SECRET)"
secret encryption_key "$(value_of PYEINO_DATABASE__ENCRYPTION_KEY)"
secret metrics_token "$(value_of PYEINO_METRICS__TOKEN)"
secret llm_api_key "$(value_of PYEINO_LLM__API_KEY)"
secret postgres_password "$(value_of POSTGRES_PASSWORD)"
secret eino_password "$(value_of EINO_DATABASE_PASSWORD)"
secret database_url "postgres://eino:$(value_of EINO_DATABASE_PASSWORD)@postgres:5432/einodb"
secret redis_password "$(value_of REDIS_PASSWORD)"
secret redis_url "redis://:$(value_of REDIS_PASSWORD)@redis:6379/0"
secret grafana_admin_password "$(value_of GRAFANA_ADMIN_PASSWORD)"

if [ "$fresh" = yes ]; then
    echo "compose-env: wrote .env and .secrets/; start with: docker compose up --build" >&2
else
    echo "compose-env: kept what .env had, added what was missing, wrote .secrets/ anew" >&2
fi
