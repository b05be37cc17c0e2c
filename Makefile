# One command per job. Each target prepares .venv by itself (scripts/setup-venv.sh) and is quick the second time.
#   PYTHON=python3.12 picks the interpreter · PORT=9000 the port of `make run` · ARGS="-k name" goes to pytest
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install run test test-all lint type docs bench profile calibrate format compose-env clean

SETUP := scripts/setup-venv.sh
BIN := .venv/bin
ARGS ?=
# Tests run in two processes, a file in one of them; ARGS="-n 0" runs them in this one, for -s and --pdb.
PYTEST := -n 2 --dist loadfile
WHAT ?= compose

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## prepare .venv with everything a developer needs
	@$(SETUP) run test lint type docs browser

run: ## set up, fetch the small local model once, and serve on PORT (8080)
	@scripts/run.sh

test: ## unit, rule, service and documentation tests; pip packages only
	@$(SETUP) test
	@$(BIN)/python -m pytest $(PYTEST) $(ARGS)

test-all: ## the same with full counts, the browser and a new project (needs chromium, prometheus)
	@$(SETUP) test browser profile
	@PYEINO_TIER=full $(BIN)/python -m pytest $(PYTEST) $(ARGS)

lint: ## ruff: rules and format; bandit over src
	@$(SETUP) lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@# Without its notes that a `nosec` was met by further tests, which had nothing to say.
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src \
		2> >(grep --invert-match 'nosec encountered' >&2)

type: ## pyright and mypy, both strict, on src; the inference tests on tests/typing
	@$(SETUP) type
	@$(BIN)/pyright --warnings
	@$(BIN)/mypy
	@$(BIN)/python tests/typing/check_typing.py

docs: ## build the documentation site into site/
	@$(SETUP) docs
	@$(BIN)/zensical build --clean --strict

bench: ## measure beside hand-written code and peers: WHAT=compose, guide, server, openai_client, …; QUICK=1
	@$(SETUP) test
	@test -f bench/$(WHAT).py || { echo "bench: WHAT is '$(WHAT)': expected one of: $(notdir $(basename $(wildcard bench/*.py)))" >&2; exit 2; }
	@$(BIN)/python bench/$(WHAT).py $(ARGS)

profile: ## flame graphs of a served request and of a benchmark, into bench/results (WHAT=guide)
	@$(SETUP) test profile
	@PYTHONPATH=bench $(BIN)/python scripts/flame.py $(if $(filter file,$(origin WHAT)),guide,$(WHAT))

calibrate: ## fit the relevance scale anew to docs/, write it into the package, and print what it does
	@$(SETUP) run test
	@$(BIN)/python scripts/fit_calibration.py --write $(ARGS)

format: ## rewrite the sources in the project's format
	@$(SETUP) lint
	@$(BIN)/ruff check --fix-only --exit-zero --quiet .
	@$(BIN)/ruff format .

compose-env: ## write .env and .secrets/ with random secrets for docker-compose.yml
	@scripts/compose-env.sh

clean: ## remove .venv and everything that was built or cached here
	rm -rf .venv .venv.lock build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
