# Two commands matter: `make demo` shows the main job, `make test` passes the tests. Each does all its set-up.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := requirements-dev.lock
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-browser test-cluster lint format bench check lock clean

help: ## these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): $(LOCK) pyproject.toml
	@echo "making the virtual environment in $(VENV) (a minute, once)"
	@$(PYTHON) -c 'import sys; sys.exit("responder needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## show the main job; ONCE=1 plays it to the end and verifies it
	@$(BIN)/responder demo $(if $(ONCE),--once)

test: $(STAMP) ## all fast tests
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 3 --dist worksteal --ignore tests/browser -m "not real_cluster" $(ARGS)

test-browser: $(STAMP) ## the pages in a real Chromium
	@$(BIN)/pytest tests/browser $(ARGS)

test-cluster: $(STAMP) ## the tests on a real kube-apiserver and Argo CD; the first time builds them: needs Go
	@$(BIN)/python -m tests.cluster run $(ARGS)

lint: $(STAMP) ## ruff, ruff format, mypy strict, import law
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## let ruff put the code in order
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

bench: $(STAMP) ## speed, memory and diagnosis, measured here
	@$(BIN)/python -m tests.bench $(ARGS)

check: lint test test-browser ## everything that must be green

lock: ## pin every dependency by hash (needs uv)
	@UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o requirements.lock
	@UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url -c requirements.lock -o requirements-dev.lock
	@echo setuptools | UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet - --universal --python-version 3.11 --generate-hashes --no-emit-index-url -c requirements-dev.lock -o requirements-build.lock
	@UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet tests/cluster/tools/python/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url -o tests/cluster/tools/python/requirements.lock

clean: ## forget the environment and caches
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
