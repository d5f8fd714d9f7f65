# Each target does all of its own set-up: a virtual environment in .venv, exactly the locked packages, this project.
# Needed beforehand: Python 3.11 or newer with venv, and make.

PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $(p))))
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test check bench torture lock clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3." >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { echo "This Python cannot make a virtual environment; on Debian: apt-get install python3-venv." >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.run: $(BIN)/python requirements.lock pyproject.toml
	@echo "Installing the locked packages (once) ..."
	@$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@echo "Installing the packages for tests (once) ..."
	@$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.run ## Start Lạng Sơn, Lào Cai and a national axis, send packages, watch them arrive (ARGS=--once to end)
	@$(BIN)/gateway demo $(ARGS)

check: $(VENV)/.dev ## Lint, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy

test: check ## Everything: lint, types, all tests, coverage
	@$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder --cov --cov-report=term:skip-covered $(ARGS)

bench: $(VENV)/.dev ## Benchmarks as ratios within this run; fails when a bar is missed
	@$(BIN)/python -m tests.benchmarks $(ARGS)

torture: $(VENV)/.dev ## At least 200 kills at every named step, on both databases
	@$(BIN)/python -m pytest -q -p no:cacheprovider -n 2 --dist load -m torture tests/acceptance $(ARGS)

lock: $(VENV)/.dev ## Resolve the dependencies anew
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra build --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra build --extra dev --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -c requirements.lock -o requirements-dev.lock

clean: ## Remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* htmlcov build dist
