# One virtual environment, .venv, with exactly the versions of requirements.lock. Needs Python 3.11 or later and make.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCHMARKS := tests/benchmarks
SOURCES := lifelong strategies scenarios leaderboards docs tests

# What `make demo` shows of the board beside its floor and ceiling.
DEMO ?= replay ewc er-ace dropin dropin-replay thaw sleep-consolidation continual-backprop random-reset matched-final

# Test processes; each loads torch and Avalanche, and computes on one thread, as a run does.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# Where `make docs-serve` shows the documentation.
PORT ?= 8000

# The first Python that is new enough; `make PYTHON=...` takes another.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# Every process that runs loads torch and Avalanche, which takes three times as long where nothing is compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo check test test-fast docs docs-serve bench lock clean

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

docs: install ## Build the documentation in build/docs; a link that leads nowhere fails
	@# a page is read again where it changed: what was wrong with it must not be forgotten
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs || { rm -rf build/doctrees; exit 1; }
	@echo "build/docs/index.html"

docs-serve: docs ## Show the documentation at http://localhost:8000; `make docs-serve PORT=8001` takes another port
	$(BIN)/python -m http.server --bind localhost --directory build/docs $(PORT)

bench: install ## Measure speed, on an otherwise idle machine
	$(BIN)/python -m pytest $(BENCHMARKS) -q -s

lock: install ## Write requirements.lock from pyproject.toml; `make lock ARGS=--upgrade` takes the newest versions
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-annotate --no-header \
		--override overrides.in pyproject.toml -o requirements.lock $(ARGS)

clean: ## Remove .venv and everything that is built; records stay
	rm -rf $(VENV) build dist docs/generated *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
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
