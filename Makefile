# `make` alone checks everything that CI checks. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EVENTS ?= 1000000

.DEFAULT_GOAL := all
.PHONY: all help setup demo test test-all lint format types unit docs cog bench wheel-smoke clean
.DELETE_ON_ERROR:

all: test lint  ## test and lint

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## make the environment .venv with everything for development

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'bowtie needs Python 3.11 or newer; name one with: make PYTHON=python3.12' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# dependency groups came with pip 25.1, and a new venv brings the pip of its Python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(READY)

demo: $(READY)  ## a believable business: its log, funnel and loop, against the truth
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo.sh

test: lint types unit docs wheel-smoke  ## everything that CI runs

unit: $(READY)  ## the tests, without the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

test-all: lint types docs wheel-smoke  ## everything, and the slow tests
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-thorough} $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(READY)  ## formatting and ruff
	$(BIN)/ruff format --check
	$(BIN)/ruff check

format: $(READY)  ## format, and fix what can be fixed safely
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

types: $(READY)  ## mypy: strict for the packages, relaxed for the tests
	$(BIN)/mypy

COG := $(BIN)/cog -I docs -n UTF-8
PAGES = README.md $$(find docs -name '*.md' -not -path 'docs/_build/*' | sort)

docs: $(READY)  ## compare the generated parts of the docs with the code, and build the pages
	$(COG) --check --diff $(PAGES)
	$(BIN)/sphinx-build -q -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

cog: $(READY)  ## write the generated parts of the docs anew
	$(COG) -r $(PAGES)

bench: $(READY)  ## the table of benchmarks; EVENTS=N for another size
	$(BIN)/python benchmarks/run.py --events $(EVENTS)

wheel-smoke: $(READY)  ## build the wheel, check what is in it, run it without dev dependencies
	$(BIN)/python scripts/wheel_smoke.py

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
