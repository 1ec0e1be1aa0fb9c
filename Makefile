# One virtual environment, .venv, with exactly the versions of requirements.lock. Needs Python 3.11 or later and make.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCHMARKS := tests/benchmarks
SOURCES := lifelong strategies scenarios leaderboards tests

# What `make demo` shows of the board beside its floor and ceiling.
DEMO ?= replay ewc er-ace dropin dropin-replay thaw sleep-consolidation continual-backprop random-reset matched-final

# Test processes; each loads torch and Avalanche, and computes on one thread, as a run does.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

# The first Python that is new enough; `make PYTHON=...` takes another.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# Every process that runs loads torch and Avalanche, which takes three times as long where nothing is compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo check test test-fast bench baselines lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv and install the locked versions and this package, where they changed

demo: install ## Run a small leaderboard on real data and show it
	$(BIN)/lifelong run digits-v1 $(addprefix --strategy ,$(DEMO))

check: install ## Lint, formatting and types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

test: install ## Run every test; `make test JOBS=4` takes more processes
	$(PYTEST)

test-fast: install ## Run the tests that take seconds
	$(PYTEST) -m "not slow"

bench: install ## Measure speed, on an otherwise idle machine
	$(BIN)/python -m pytest $(BENCHMARKS) -q -s

baselines: install ## Write the README's table of baselines anew, from the registry and the published records
	@mkdir -p build
	$(BIN)/lifelong baselines --format md --output build/baselines.md
	awk '/^<!-- baselines -->/ { print; while ((getline line < "build/baselines.md") > 0) print line; within = 1 } \
		/^<!-- \/baselines -->/ { within = 0 } !within' README.md > build/README.md && mv build/README.md README.md

lock: install ## Write requirements.lock from pyproject.toml; `make lock ARGS=--upgrade` takes the newest versions
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-annotate --no-header \
		--override overrides.in pyproject.toml -o requirements.lock $(ARGS)

clean: ## Remove .venv and everything that is built; records stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "lifelong needs Python 3.11 or later, and there is none here$(if $(PYTHON),: $(PYTHON) is older or absent)." \
			"Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# uv takes seconds where pip takes minutes, but compiles only when told to; behind a proxy with a certificate of its own
# it needs the system's. The build needs no isolation, because setuptools is locked too.
LOCKED := pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps -r requirements.lock
$(STAMP): pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	$(BIN)/uv $(LOCKED) || $(BIN)/uv $(LOCKED) --system-certs
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
