# Everything runs from .venv, which any target builds from requirements.lock when it is missing or stale.
SHELL := /bin/bash
PYTHON ?= $(shell for v in python3 python3.13 python3.12 python3.11; do \
  command -v $$v >/dev/null 2>&1 && $$v -c 'import sys; raise SystemExit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && echo $$v && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ONLY ?=
POINTS ?= 3000
SEED ?= 1

.PHONY: demo test check bench soak serve halt lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): requirements.lock pyproject.toml bootstrap.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" ./bootstrap.sh

demo: $(STAMP) ## a whole simulated trading day, end to end
	@$(BIN)/robo demo

test: $(STAMP) ## the tests, in parallel
	@$(BIN)/pytest -n 4 --dist worksteal  # four for two cores: many tests wait for processes

check: $(STAMP) ## ruff, types, import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/basedpyright && $(BIN)/lint-imports

bench: $(STAMP) ## figures as JSON lines; ONLY=<folder> for one
	@$(BIN)/python -m bench $(ONLY)

soak: $(STAMP) ## POINTS random crashes of the order path from SEED on; POINTS=1 replays one seed
	@$(BIN)/python tests/soak $(POINTS) $(SEED)

serve: $(STAMP) ## Prefect server, worker, MLflow UI and gateway together
	@$(BIN)/robo serve

halt: $(STAMP) ## stop trading now: block new orders, cancel working ones; ARGS=--flatten closes positions
	@$(BIN)/robo halt --reason "make halt" $(ARGS)

lock: ## resolve requirements.lock anew
	@$(BIN)/uv pip compile --universal --generate-hashes --extra dev --no-header --no-emit-index-url -q --upgrade pyproject.toml -o requirements.lock

clean: ## remove the environment and caches; keeps var/ and mlruns/
	@rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
