# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
LOCK := deployments/requirements.lock
DATA := deployments/data.txt
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
PREFECT_PORT ?= 4200
MLFLOW_PORT ?= 5000
FENQUN_HOME ?= $(CURDIR)/var
export FENQUN_HOME

.PHONY: help install demo test test-all truth benchmark ui docs lint format clean reset

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): $(LOCK) $(DATA) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and was not found; install one, or name it: make PYTHON=/path/to/python ..."; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks its venv module; on Debian and Ubuntu: apt install python3-venv"; exit 2; }
	@echo "Installing into $(VENV) from $(LOCK): about 2 GB, some minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) torch==2.13.0
	@$(PIP) --no-deps -r $(LOCK)
	@$(PIP) --no-deps --ignore-requires-python -r $(DATA)
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP)  ## make the virtual environment from the lock file

demo: $(STAMP)  ## retrain on MovieLens-100K and tell what came out
	@$(BIN)/fenqun retrain --config deployments/configs/movielens.yaml

test: $(STAMP)  ## the fast tests (under 10 minutes)
	$(BIN)/python -m pytest -rs -n 2 --dist loadfile --no-loadscope-reorder

test-all: $(STAMP)  ## the slow tests: truth under one seed, real servers, kills, browser
	$(BIN)/python -m pytest -rs -n 2 -m slow --seeds 1 tests/truth
	$(BIN)/python -m pytest -rs -n 2 --dist loadfile --no-loadscope-reorder -m "slow and not benchmark" --ignore tests/truth

truth: $(STAMP)  ## faults planted and found through the flow, and missed with the mend taken out, under three seeds
	$(BIN)/python -m pytest -rs -n 2 -m slow tests/truth

benchmark: $(STAMP)  ## side-by-side measurements; minutes each, on a quiet machine
	@for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python -m tests.benchmarks.$$(basename $$script .py); done

ui: $(STAMP)  ## Prefect, MLflow and the deployments on loopback
	@$(BIN)/fenqun ui --prefect-port $(PREFECT_PORT) --mlflow-port $(MLFLOW_PORT)

docs: $(STAMP)  ## the pages of docs/ as a site in build/docs, with the configuration reference made anew
	$(BIN)/python docs/reference.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo build/docs/index.html

lint: $(STAMP)  ## format check, lint, types, import rules and dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/deptry . --extend-exclude tests/ --optional-dependencies-dev-groups dev --ignore DEP002

format: $(STAMP)  ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches, never the state
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	find . -path ./var -prune -o -name __pycache__ -prune -exec rm -rf {} +

reset:  ## remove the state folder, after asking
	@read -r -p "Remove everything under $(FENQUN_HOME) (models, tables, runs)? Type yes: " answer && [ "$$answer" = yes ] && rm -rf -- "$(FENQUN_HOME)" || echo "kept"
