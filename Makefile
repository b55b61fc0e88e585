# Every target sets up what it needs; `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo serve test lint types format check bench bench-peers docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(READY) ## set up .venv with everything that development needs

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Millpond needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "python3 -m venv does not work here; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

demo: $(READY) ## publish a pool in bulk, from nothing to SUCCEEDED, in a temporary folder
	@$(BIN)/millpond demo

serve: $(READY) ## run the server on ./millpond-data
	@$(BIN)/millpond serve --data ./millpond-data

test: $(READY) ## run the whole test suite
	$(BIN)/python -m pytest -n 2

lint: $(READY) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## check types
	$(BIN)/mypy

format: $(READY) ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types test ## what must pass before a commit

bench: $(READY) ## measure, in ratios within one run
	$(BIN)/python bench/bench.py

bench-peers: $(READY) ## the same reads and writes against Kinto and pouchdb-server (needs npm)
	$(BIN)/python bench/bench.py --peers

docs: $(READY) ## write what is generated: reference pages, the model of the CLI
	$(BIN)/python docs/generate.py
	$(BIN)/python -m millpond.cli.api.models

clean: ## remove what was built; data folders stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results
