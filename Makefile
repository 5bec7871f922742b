# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
LOCK := deployments/requirements.lock
DATA := deployments/data.txt
STAMP := $(VENV)/.installed
FENQUN_HOME ?= $(CURDIR)/var
export FENQUN_HOME

.PHONY: help install demo test test-all benchmark ui lint format clean reset

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): $(LOCK) $(DATA) pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found; install Python 3.11-3.13 or say make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(DATA)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP)  ## make the virtual environment from the lock file

demo: $(STAMP)  ## retrain on MovieLens-100K and tell what came out
	$(BIN)/fenqun retrain --config deployments/configs/movielens.yaml

test: $(STAMP)  ## the fast tests (under 10 minutes)
	$(BIN)/python -m pytest

test-all: $(STAMP)  ## the slow tests: real servers, kills, browser
	$(BIN)/python -m pytest -m "slow and not benchmark"

benchmark: $(STAMP)  ## side-by-side measurements; minutes each, on a quiet machine
	@for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python -m tests.benchmarks.$$(basename $$script .py); done

ui: $(STAMP)  ## Prefect, MLflow and the deployments on loopback
	$(BIN)/fenqun ui

lint: $(STAMP)  ## format check, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches, never the state
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +

reset:  ## remove the state folder, after asking
	@read -r -p "Remove everything under $(FENQUN_HOME) (models, tables, runs)? Type yes: " answer && [ "$$answer" = yes ] && rm -rf -- "$(FENQUN_HOME)" || echo "kept"
