# `make` alone shows what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

SUITE ?= all
# Half of the time tests wait for brokers.
all := --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "not adapters and not alerts and not stack and not chaos"
unit := -m "not adapters and not alerts and not stack and not chaos and not attack and not kafka and not collector"
kafka := -m "(kafka or collector) and not stack and not chaos"
adapters := -m adapters
alerts := -m alerts
attack := -m attack
chaos := -m chaos -rP
stack := -m stack

.PHONY: help setup demo test lint types bench docs check clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 8

setup: $(READY) ## Make .venv with assay and everything that its tests need

# Runs again when dependencies change, and needs no network otherwise.
$(READY): pyproject.toml requirements.lock
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	  echo "make: '$(PYTHON)' is missing or older than Python 3.11; run: make setup PYTHON=python3.11" >&2
	  exit 1
	fi
	echo "setting up .venv (once; a minute or two)"
	# uv reads none of pip's settings: where there are some, an index or a proxy, it is pip that must.
	if command -v uv >/dev/null && ! env | grep -q '^PIP_'; then
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv
	  uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	else
	  $(PYTHON) -m venv .venv
	  $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	fi
	touch $(READY)

demo: $(READY) ## See spans being judged and a regression noticed; needs no key and no network
	@$(BIN)/assay demo

test: $(READY) ## Run what this machine can; SUITE= one of unit, kafka, adapters, alerts, attack, stack, chaos picks
	@case "$(SUITE)" in
	  all|unit|kafka|adapters|alerts|attack|stack|chaos) ;;
	  *) echo "make: no suite '$(SUITE)'; there are: all unit kafka adapters alerts attack stack chaos" >&2; exit 2 ;;
	esac
	$(BIN)/pytest $($(SUITE))

lint: $(READY) ## Check style, layers, generated pages and every configuration that is shown
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/check_examples.py

types: $(READY) ## Check types, those of the tests too
	$(BIN)/mypy

bench: $(READY) ## Measure; SUITE=decode runs bench/decode.py alone, SUITE=soak takes an hour
	@for script in $(if $(filter all,$(SUITE)),$(filter-out bench/soak.py,$(wildcard bench/*.py)),bench/$(SUITE).py); do
	  $(BIN)/python "$$script"
	done

docs: $(READY) ## Generate the reference pages and schemas
	$(BIN)/python docs/generate.py

check: lint types test ## Do all that must pass before a change is merged

clean: ## Remove what was made here, also the copy of Kafka
	rm -rf .venv .cache dist .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
