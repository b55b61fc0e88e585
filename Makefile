# Every target sets up what it needs; `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.ready

# What is installed is locked, to the hash: requirements/ (`make lock` writes it).
PIP    := -m pip install --quiet --disable-pip-version-check --no-input
# The pip that comes with Python: it installs the one that is locked, rather than first
# itself, which takes longer than all that a demonstration needs to download. Empty where
# it is not found; then it does.
PIP_WHEEL = $(shell $(PYTHON) -c 'import ensurepip, pathlib, sysconfig; \
  places = [pathlib.Path(ensurepip.__file__).parent / "_bundled", \
            pathlib.Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/nowhere")]; \
  print(*[wheel for place in places for wheel in place.glob("pip-*.whl")][:1])' 2>/dev/null)
# The folder itself, which needs nothing more: what builds it is in the locks too.
SELF   := --no-deps --no-build-isolation --editable .
UV     := $(VENV)-uv/bin/uv
UV_PIN := uv==0.13.9
TESTS  ?= tests
PYTEST := $(BIN)/python -m pytest -n 2
# The inner loop: rules, formats and the commands' words, and the embedded store itself.
FAST_TESTS := tests/core tests/wire tests/contract tests/service tests/stores/test_sqlite.py \
  tests/test_architecture.py tests/test_errors.py tests/test_settings.py
# Whatever pip.conf says: into the environment, not into somebody's home.
export PIP_USER := 0
# Programs are started by the hundred: each of them reads what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-all test-oldest test-newest lint types format check check-all bench \
        bench-peers docs site screenshots lock lock-upgrade version changelog release clean \
        same-python

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

install: $(READY) ## set up .venv with everything that development needs

$(READY): $(RUNS) requirements/dev.txt
	@echo "installing what development needs: $$(grep -c == requirements/dev.txt) packages, a minute or two"
	@$(BIN)/python $(PIP) --require-hashes --no-deps -r requirements/dev.txt
	@$(BIN)/python $(PIP) $(SELF)
	@touch $@

# Who names a Python wants that one.
same-python:
ifneq ($(origin PYTHON),file)
	@if [ -x $(BIN)/python ]; then \
	  version='import sys; print("%d.%d" % sys.version_info[:2])'; \
	  has=$$($(BIN)/python -c "$$version") && wanted=$$($(PYTHON) -c "$$version") || exit 1; \
	  [ "$$has" = "$$wanted" ] || { \
	    echo "$(VENV) has Python $$has, and $(PYTHON) is $$wanted; to have it made anew: rm -r $(VENV)" >&2; \
	    exit 1; }; \
	fi
endif

$(RUNS): pyproject.toml requirements/runtime.txt requirements/pip.txt | same-python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Millpond needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "python3 -m venv does not work here; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@if [ -n "$(PIP_WHEEL)" ] && [ ! -e $(BIN)/pip ]; then \
	  $(PYTHON) -m venv --without-pip $(VENV) && \
	  PYTHONPATH="$(PIP_WHEEL)" $(BIN)/python $(PIP) --require-hashes -r requirements/pip.txt; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python $(PIP) --require-hashes --upgrade -r requirements/pip.txt; \
	fi
	@echo "installing what Millpond runs on: $$(grep -c == requirements/runtime.txt) packages"
	@$(BIN)/python $(PIP) --require-hashes --no-deps --no-compile -r requirements/runtime.txt
	@echo "installing Millpond from this folder"
	@$(BIN)/python $(PIP) $(SELF)
	@$(BIN)/python -m compileall -q src/millpond # else a container compiles at every call
	@touch $@

demo: $(RUNS) ## publish a pool in bulk, from nothing to SUCCEEDED, in a temporary folder
	@$(BIN)/millpond demo

serve: $(READY) ## run the server on ./millpond-data
	@$(BIN)/millpond serve --data ./millpond-data

test: $(READY) ## run every test where it shows something (FAST=1: the quick third; TESTS=...)
	$(PYTEST) $(if $(FAST),$(FAST_TESTS),$(TESTS))

test-all: $(READY) ## run every test on every store, as what lands must pass
	$(PYTEST) --all-stores $(TESTS)

lint: $(READY) ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## check types
	$(BIN)/mypy

format: $(READY) ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types test ## what must pass before a commit

check-all: lint types test-all ## what must pass before a change lands; .ci/run does it

bench: $(READY) ## measure, in ratios within one run
	$(BIN)/python bench/bench.py

bench-peers: $(READY) ## the same reads and writes against Kinto and pouchdb-server (needs npm)
	$(BIN)/python bench/bench.py --peers

test-oldest: $(UV) ## run the tests (TESTS=...) with the oldest releases that pyproject.toml allows
	@echo "resolving the oldest releases"
	@$(UV) pip compile $(UV_OPTIONS) --quiet --resolution lowest-direct --all-extras \
	  --no-annotate --python $(PYTHON) pyproject.toml -o $(VENV)-oldest.txt
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) $(VENV)-oldest
	@$(UV) pip install $(UV_OPTIONS) --quiet --python $(VENV)-oldest/bin/python \
	  --constraint $(VENV)-oldest.txt --editable '.[all]' --group dev
	$(VENV)-oldest/bin/python -m pytest -n 2 $(TESTS)

test-newest: $(UV) ## run the tests (TESTS=...) with the newest releases there are today
	@$(UV) venv --quiet --clear --no-config --python $(PYTHON) $(VENV)-newest
	@$(UV) pip install $(UV_OPTIONS) --quiet --python $(VENV)-newest/bin/python --upgrade \
	  --editable '.[all]' --group dev
	$(VENV)-newest/bin/python -m pytest -n 2 $(TESTS)

lock: $(UV) ## lock what pyproject.toml asks for; what is locked already stays
	@$(LOCK) pyproject.toml --all-extras --group dev --group build -o requirements/dev.txt
	@$(LOCK) pyproject.toml --group build --constraint requirements/dev.txt \
	  -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --extra all --constraint requirements/dev.txt \
	  -o requirements/image.txt
	@$(LOCK) --group site -o requirements/site.txt
	@echo pip | $(LOCK) - -o requirements/pip.txt

lock-upgrade: $(UV) ## the same, with the newest releases of everything
	@$(LOCK) --upgrade pyproject.toml --all-extras --group dev --group build -o requirements/dev.txt
	@$(LOCK) --upgrade pyproject.toml --group build --constraint requirements/dev.txt \
	  -o requirements/runtime.txt
	@$(LOCK) --upgrade pyproject.toml --extra all --constraint requirements/dev.txt \
	  -o requirements/image.txt
	@$(LOCK) --upgrade --group site -o requirements/site.txt
	@echo pip | $(LOCK) --upgrade - -o requirements/pip.txt

# For every Python and system that the classifiers name, not for this machine; without
# its configuration, and without the hosts that the packages came from.
UV_OPTIONS := --no-config --no-progress
LOCK = $(UV) pip compile $(UV_OPTIONS) --quiet --universal --python-version 3.11 \
  --generate-hashes --no-annotate --custom-compile-command "make lock"

$(UV):
	@$(PYTHON) -m venv $(VENV)-uv
	@$(VENV)-uv/bin/python $(PIP) $(UV_PIN)

docs: $(READY) ## write what is generated: reference pages, pictures, the model of the CLI
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/pictures.py
	$(BIN)/python -m millpond.client.api.models

site: $(VENV)-site/.ready ## build the documentation into build/site, without a network (LINKS=1: try links to elsewhere)
	@$(SPHINX) -b html . build/site
	@$(if $(LINKS),$(SPHINX) -b linkcheck . build/links)
	@echo "open build/site/index.html, or serve it: python3 -m http.server -d build/site"

# A warning is an error; all of them are shown. -a: each page shows where all others are.
SPHINX = $(VENV)-site/bin/python -m sphinx -W --keep-going -a -q -c docs -d build/.doctrees

$(VENV)-site/.ready: requirements/site.txt
	@echo "installing what makes the site: $$(grep -c == $<) packages"
	@$(PYTHON) -m venv $(VENV)-site
	@$(VENV)-site/bin/python $(PIP) --require-hashes --no-deps -r $<
	@touch $@

screenshots: $(READY) ## make the pictures of the documentation (needs Chromium)
	$(BIN)/python docs/screenshots.py

version: $(READY) ## write VERSION=... everywhere; without it, compare the places
	$(BIN)/python release/versions.py $(if $(VERSION),--set $(VERSION))

changelog: $(READY) ## gather changelog.d into CHANGELOG.md, and remove it (DRAFT=1: show it)
	@$(BIN)/python release/changelog.py $(if $(DRAFT),--draft)

release: $(READY) $(UV) ## check and build a release in dist/; upload nothing (CHECKS=tree,build,...)
	@$(BIN)/python release/release.py --uv $(UV) --checks "$(CHECKS)"

clean: ## remove what was built; data folders stay
	rm -rf $(VENV) $(VENV)-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist bench/results
