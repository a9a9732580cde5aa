# Two commands: `make nightly` and `make test`. Each sets up what it needs first; set-up is skipped when nothing changed.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help nightly test ui setup

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/'

setup: .venv/.ready  ## virtual environment from constraints.txt

.venv/.ready: constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -c constraints.txt -e '.[dev]'
	@touch $@

nightly: setup  ## snapshot, retrain, deliver; then open artifacts/report/index.html
	@$(BIN)/python -m flows nightly

test: setup  ## every test
	@$(BIN)/python -m pytest

ui: setup  ## Prefect server, worker and MLflow, with their addresses
	@$(BIN)/python -m flows.ui
