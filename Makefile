# make demo = from a fresh clone to results/summary.csv; make test = the whole test suite. Both set up .venv where it is missing.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all

.PHONY: demo test lint setup bench-data bench-pretraining bench-distillation schema clean-demo

setup: .venv/.installed

.venv/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Ligero's lock file is for Python 3.11; say e.g. 'make demo PYTHON=python3.11'"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	touch $@

demo: setup
	$(BIN)/snakemake --cores $(CORES) results/summary.csv all results/report.html
	@echo; column -s, -t < results/summary.csv 2>/dev/null || cat results/summary.csv

test: setup lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

schema: setup
	$(BIN)/python workflow/scripts/describe_settings.py

bench-data bench-pretraining bench-distillation: setup
	$(BIN)/python workflow/scripts/$(subst -,_,$@).py --out results/bench/$(@:bench-%=%).csv
