# make demo = from a fresh clone to results/summary.csv; make test = the whole test suite. Both set up .venv where it is missing.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all

.PHONY: demo sample efficiency test lint setup bench-data bench-pretraining bench-distillation schema

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

# Real Spanish in small, from the mirror folder that the configuration names.
sample: setup
	@test -d models/e5-small-es || echo "models/e5-small-es is not there: its rows will be left out (docs/local-weights.md builds it in a minute)"
	$(BIN)/snakemake --cores $(CORES) --configfile=config/spanish-sample.yaml results/spanish-sample/summary.csv

# Size, multiply-accumulate operations and speedups of the thesis' 17 systems, offline.
efficiency: setup
	$(BIN)/snakemake --cores $(CORES) --configfile=config/thesis.yaml results/thesis/tables/efficiency.csv

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
