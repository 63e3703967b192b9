# Everything a person does with this clone. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/gen/python
PYTEST := $(PY) -m pytest
PARALLEL ?= 2

##@ Run

.PHONY: run up down status demo
run: setup ## The whole mesh in the foreground; Ctrl-C stops it
	@./hazina up --foreground

up: setup ## The whole mesh in the background; ready when this returns
	@./hazina up

down: ## Stop the mesh
	@./hazina down

status: ## What runs, where, and how much memory it takes
	@./hazina status

demo: setup ## Play the story of two people on the running mesh
	@./hazina demo

##@ Build

.PHONY: setup setup-dev gen fmt lock
setup: $(VENV)/.run ## Virtual environment with what running needs
setup-dev: $(VENV)/.dev ## The same with what writing and testing need

gen: setup-dev ## Regenerate everything that comes from the contracts
	@$(PY) -m mesh.contract gen

fmt: setup-dev ## Format the code
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix-only --quiet .

lock: setup-dev ## Pin what the virtual environment holds now
	@$(PY) requirements/lock.py

##@ Prove

.PHONY: test test-all check bench chaos
test: setup-dev ## The fast suite on real Postgres, Valkey and Envoy
	@$(PYTEST) -q -n $(PARALLEL) --dist loadfile -m "not slow"

test-all: setup-dev ## Everything
	@$(PYTEST) -q -n $(PARALLEL) --dist loadfile

check: setup-dev ## Format, lint, types, import rules, contracts, generated files
	@$(PY) -m ruff format --check --quiet . || { echo "Run \`make fmt\`."; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy --no-error-summary mesh services simulators tests bench requirements
	@told=$$($(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache 2>&1) || { echo "$$told"; exit 1; }
	@$(PY) -m mesh.contract lint
	@$(PY) -m mesh.contract check

bench: setup ## The published performance table
	@$(PY) -m bench

chaos: setup-dev ## The fault run: kill, wipe, silence, and count the money
	@$(PYTEST) -q tests/e2e/test_crashes.py tests/e2e/test_kills.py

##@ Help

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  \033[36m%-11s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

# The stamps are newer than the lock files they were installed from.
$(VENV)/.run: requirements/run.txt
	@requirements/install run

$(VENV)/.dev: requirements/run.txt requirements/dev.txt
	@requirements/install dev
