# Everything a clone needs: `make quickstart` and `make test` do their own set-up.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PLAIN := $(VENV)/.installed-plain
STAMP := $(VENV)/.installed
PEERS := .venv-peers
TPU := .venv-tpu
PYTEST := $(BIN)/python -m pytest -q

.PHONY: help install quickstart test test-slow test-tpu lint format docs peers tpu bench clean
.DEFAULT_GOAL := help

help:  ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

$(PLAIN): pyproject.toml
	@test -n "$(PYTHON)" || { echo "morl needs Python 3.11 or newer on the PATH"; exit 1; }
	@test -x $(BIN)/python || { $(PYTHON) -m venv $(VENV) && $(BIN)/pip install -q --upgrade pip; }
	$(BIN)/pip install -q -e .
	@touch $@

$(STAMP): $(PLAIN)
	$(BIN)/pip install -q -e '.[test]'
	@touch $@

install: $(STAMP)  ## Make .venv and install morl with what its tests need

quickstart: $(PLAIN)  ## A Pareto front of three objectives, from nothing, in minutes
	$(BIN)/morl quickstart

test: $(STAMP)  ## The test suite with doctests, in minutes; what is slow is in test-slow
	$(PYTEST) -m "not slow" -n auto --maxprocesses 4 --dist loadfile

test-slow: $(STAMP)  ## Slow tests: real model and data, faults, examples, notebooks
	$(PYTEST) -m slow -n auto --maxprocesses 2 --dist loadfile

test-tpu: tpu  ## Slow tests of what is compiled for TPUs; no TPU is needed
	JAX_PLATFORMS=cpu PYTHONPATH=$(CURDIR)/$(TPU) $(PYTEST) -m slow tests/training/test_plan.py

lint: $(STAMP)  ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(STAMP)  ## Format and sort imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## The HTML documentation, in docs/_build/html
	$(BIN)/pip install -q -e '.[docs]'
	$(BIN)/sphinx-build -W -q docs docs/_build/html

peers: $(PEERS)/.installed  ## .venv-peers: torch, transformers, TRL, torchjd and pymoo, which tests and benchmarks compare with (Python 3.11)

$(PEERS)/.installed: benchmarks/peers/requirements.txt
	@command -v python3.11 >/dev/null || { echo "the peers need python3.11 on the PATH"; exit 1; }
	python3.11 -m venv $(PEERS)
	$(PEERS)/bin/pip install -q --upgrade pip
	$(PEERS)/bin/pip install -q -r benchmarks/peers/requirements.txt
	@touch $@

tpu: $(TPU)/.installed  ## .venv-tpu: the TPU compiler that goes with the jax of .venv, where no other test sees it

$(TPU)/.installed: $(STAMP)
	$(BIN)/pip install -q --no-deps --upgrade --target $(TPU) "$$($(BIN)/python -c \
		'from importlib.metadata import requires; \
		print(next(r.split(";")[0].strip() for r in requires("jax") if r.startswith("libtpu")))')"
	@touch $@

bench: $(STAMP) peers  ## Ours and the peers side by side, float32 on two cores
	@for name in features generation heads weightings evolution conflict_step reward_step hypervolume; do \
		$(BIN)/python benchmarks/$$name.py || exit $$?; \
	done

clean:  ## Forget build products; keeps .venv and runs
	rm -rf build dist docs/_build .pytest_cache .ruff_cache .hypothesis
