# Two commands: `make nightly` and `make test`. Each sets up what it needs first; set-up is skipped when nothing changed.
# For those who change the code: `make check` and `make test-fast` before a commit, see CONTRIBUTING.md.
.DEFAULT_GOAL := help
SHELL := bash
BIN := .venv/bin
# what .venv was made for; the folder's name reaches the shell by its environment alone, for it may hold any sign
export STAMP := $(CURDIR) $(shell cat constraints.txt pyproject.toml | cksum)
OLD := is not Python 3.11 or 3.12; install Python 3.11, or name one: make PYTHON=/path/to/python3.11
RIGHT_VERSION := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
export PATH := $(CURDIR)/$(BIN):$(PATH)

# the system's Python, not the environment's own, which may have to be made anew
PYTHON ?= $(shell PATH=$$(echo "$$PATH" | tr ':' '\n' | grep -vxF "$$(pwd -P)/$(BIN)" | paste -sd: -); \
    command -v python3.11 || command -v python3.12 || command -v python3)

# tests that share what is dear to set up stay in one process, see conftest.py; three, for some wait for servers and kills
SIDE_BY_SIDE := -m pytest -n 3 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python $(SIDE_BY_SIDE)
CHECKS := check-types check-imports check-lint check-format check-pipeline check-reference check-house

.PHONY: help nightly inspect rules test ui desk serve shop card compare reproduce promote rollback forget rotate prune setup repository environment \
    check test-fast coverage mutants docs backup restore sbom $(CHECKS)

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*##/\t/'

setup: repository  ## virtual environment from constraints.txt
	@test -L .venv || test "$$(cat .venv/.ready 2>/dev/null)" = "$$STAMP" || $(MAKE) --no-print-directory environment

# before anything is installed: a git repository of this folder's own, for each run is kept as a commit
repository:
	@test -x $(BIN)/python && python=$(BIN)/python || python="$(PYTHON)"; \
	    test -z "$$python" || "$$python" -I -S .ci/repository.py

# made anew when it was moved here from another folder (its scripts name that folder) or its Python is gone
environment:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(RIGHT_VERSION)' || { echo "$${PYTHON:-python3} $(OLD)" >&2; exit 1; }
	@if test -e .venv && ! { grep -qsF "$$(pwd -P)/.venv" .venv/pyvenv.cfg && $(BIN)/python -c '$(RIGHT_VERSION)'; }; then \
	    echo "making .venv anew: it belongs to another folder or another Python"; rm -rf .venv; fi
	@test -e .venv || "$(PYTHON)" -m venv .venv || \
	    { rm -rf .venv; echo "cannot make .venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "installing into .venv (some minutes the first time, no GPU needed)"
	@$(BIN)/python .ci/install.py
	@echo "$$STAMP" > .venv/.ready

nightly: setup  ## snapshot, retrain, deliver; then open artifacts/report/index.html
	@$(BIN)/python -m flows nightly

inspect: setup  ## which file of your export is which table, and the settings that read it: make inspect FOLDER=/your/export
	@$(BIN)/python -m tasks.inspection "$$FOLDER" $${PRODUCTS:+--products "$$PRODUCTS"}

rules: setup  ## what rules.yaml changes in tonight's lists, and what it costs; of another file: make rules FILE=draft.yaml
	@$(BIN)/python -m tasks.merchandising $${FILE:+"$$FILE"}

test: setup  ## every test, in three processes
	@$(PYTEST)

check: setup  ## faults, layout, types, who imports whom, sizes and names, generated files up to date; two at a time
	@$(MAKE) --no-print-directory --keep-going -j2 $(CHECKS) && echo "checks passed"

check-types:
	@$(BIN)/mypy

check-imports:
	@said=$$($(BIN)/lint-imports 2>&1) || { echo "$$said"; exit 1; }

check-lint:
	@$(BIN)/ruff check .

check-format:
	@$(BIN)/ruff format --check .

check-pipeline:
	@test ! -f tasks/pipeline/generate.py || $(BIN)/python -m tasks.pipeline.generate --check

check-reference:
	@$(BIN)/python -m docs.generate --check

check-house:
	@$(BIN)/python -m pytest -n0 -q --no-header tests/architecture

test-fast: setup  ## the tests that take no more than moments each
	@$(PYTEST) -m "not slow and not browser and not prefect and not distributed"

coverage: setup  ## every test, and which lines of the three packages ran; below 90% is an error
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run $(SIDE_BY_SIDE) && $(BIN)/coverage combine -q && $(BIN)/coverage report --skip-covered

docs: setup  ## these pages as a site, in site/index.html; a broken link is an error
	@$(BIN)/python -m docs.generate --check
	@$(BIN)/python -m sphinx -W -n --keep-going -q -b html docs site && echo "open site/index.html"

mutants: setup  ## small faults put into what every figure rests on: at least nine in ten must fail a test
	@$(BIN)/python -m bench.mutants

ui: setup  ## the desk, Prefect server, worker and MLflow, with their addresses
	@$(BIN)/python -m flows.ui

desk: setup  ## the desk alone, beside servers that are up: plan, approve, compare, look up; http://127.0.0.1:4300
	@$(BIN)/python -m apps.desk

serve: setup  ## the live site's API on http://127.0.0.1:8080, from what the last night wrote
	@$(BIN)/python -m apps.api

shop: setup  ## a page over the live site's API: be a visitor, look around, see lists and reasons change
	@$(BIN)/python -m apps.shop

card: setup  ## how a version came to be: make card VERSION=7; without VERSION the champion
	@$(BIN)/python -m tasks.registry.card $${VERSION:+"$$VERSION"}

compare: setup  ## two versions side by side, with paired differences: make compare A=1 B=2
	@$(BIN)/python -m tasks.registry.side_by_side "$${A:?name a version, as A=1}" "$${B:?name the other one, as B=2}"

reproduce: setup  ## rebuild a version from its raw snapshot and compare: make reproduce VERSION=7
	@$(BIN)/python -m flows reproduce $${VERSION:+--version "$$VERSION"}

promote: setup  ## make a version champion by hand: make promote VERSION=6 REASON="..."
	@$(BIN)/python -m flows promote --version "$$VERSION" --reason "$$REASON" $${WHO:+--who "$$WHO"}

rollback: setup  ## bring the champion before back: make rollback REASON="..."
	@$(BIN)/python -m flows rollback --reason "$$REASON" $${WHO:+--who "$$WHO"}

forget: setup  ## remove a customer from data, history, cache and exports: make forget CUSTOMER=4711
	@printf '%s\n' "$$CUSTOMER" | $(BIN)/python -m flows forget --customer -

rotate: setup  ## a new key for customers' names: make rotate REASON="..."; LEAKED=1 when a key got out
	@$(BIN)/python -m flows rotate --reason "$$REASON" $${LEAKED:+--leaked} $${WHO:+--who "$$WHO"}

prune: setup  ## let go old runs and data that nothing needs: make prune; only look: make prune DRY_RUN=yes
	@$(BIN)/python -m flows prune $${DRY_RUN:+--dry-run}

backup: setup  ## one file of all that cannot be made anew, into backups/ or elsewhere: make backup TO=/safe
	@$(BIN)/python -m flows backup $${TO:+--to "$$TO"}

restore: setup  ## such a file into a fresh clone, which then delivers: make restore FILE=/safe/shop.tar
	@$(BIN)/python -m flows restore "$$FILE"

# the tool has an environment of its own, so that it is not on its own list, nor its needs
sbom: setup  ## what is installed, as CycloneDX JSON, into sbom.json
	@test -x .venv/sbom/bin/cyclonedx-py || { $(BIN)/python -m venv .venv/sbom && \
	    .venv/sbom/bin/pip --quiet --disable-pip-version-check install cyclonedx-bom==7.5.0; }
	@.venv/sbom/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible -o sbom.json
	@echo "sbom.json lists what is installed in .venv"
