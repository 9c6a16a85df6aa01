# Two commands matter: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests run in parallel; timing checks and browser tests mind the machine's size themselves.
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lab dashboard bench drills lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## Build .venv from the hash-pinned requirements

$(STAMP): requirements.txt .python-version
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || \
	  { echo "Python 3.12 or later is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1). Name one: make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Real data, notebooks over a small grid, a report, a live node on the practice venue
	@$(BIN)/python -m workbench demo

test: setup check ## Lint, types, room contracts, then every test
	$(BIN)/python -m pytest -n $(JOBS)

check: setup ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lab: setup ## JupyterLab on this project
	$(BIN)/workbench lab

dashboard: setup ## The dashboard in a browser
	$(BIN)/workbench dashboard

bench: setup ## Every speed claim, measured here
	$(BIN)/python -m benchmarks

drills: setup ## The long tests: many kills, large fuzz runs
	$(BIN)/python -m pytest -n $(JOBS) tests --drills

lock: ## Pin every dependency with hashes, without registry addresses
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml","rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.in
	$(BIN)/pip install --quiet pip-tools
	cd $(VENV) && CUSTOM_COMPILE_COMMAND="make lock" bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate \
	  --extra lab --extra databento --extra tardis -o ../requirements.txt ../pyproject.toml dev.in

clean: ## Remove the environment and everything made by running
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	git clean -qfdX .gateway data
