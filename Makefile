# make demo: from a fresh clone to results/summary.csv. make check: lint, types and fast tests. make test: all tests.
# Each of them sets up .venv where it is missing.
SHELL := /bin/bash
BIN := .venv/bin
CORES ?= all
# Test processes that run side by side.
WORKERS ?= 2
# The first Python from 3.11 to 3.13 that is installed; `make PYTHON=...` chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
# Package index for torch alone. For a CPU build: TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=25

.PHONY: setup demo demo-check sample efficiency check test lint schema check-light check-lock check-crate mutate test-slurm test-slurm-short faults count bench-data bench-pretraining bench-distillation bench-inference bench-serving bench-workflow bench-early-exit

setup: .venv/.installed $(BIN)/ligero

.venv/.installed: requirements.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 found on PATH. Install one, or run 'make PYTHON=/path/to/python3.12'."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13, for which requirements.lock is made."; exit 1; }
	@test ! -x $(BIN)/python || $(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "error: .venv holds a Python other than 3.11, 3.12 or 3.13. Remove the folder and run make again."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv with $$($(BIN)/python --version): $$(grep -c == requirements.lock) packages, about 300 MB to download, and torch."
	@$(if $(TORCH_INDEX),echo "torch comes from $(TORCH_INDEX): a CPU build is about 200 MB.", \
		echo "torch comes from pip's index: about 3 GB where that serves a CUDA build (PyPI does on Linux)."; \
		echo "For a CPU build of about 200 MB: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu")
	$(BIN)/pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	touch $@

# The command `ligero` runs the folder that its `.venv` lies in, also where that is a link to another clone's; called through a link of
# its own, this folder.
$(BIN)/ligero: .venv/.installed
	@printf '%s\n' '#!/bin/sh' 'root=$$(CDPATH= cd -- "$$(dirname -- "$$0")/../.." && pwd)' \
		'[ -e "$$root/workflow/scripts/run_command.py" ] || root="$(CURDIR)"' \
		'exec "$$root/$(BIN)/python" "$$root/workflow/scripts/run_command.py" "$$@"' > $@
	@chmod +x $@
	@echo "Installed. For the commands snakemake, python and ligero: . .venv/bin/activate"

demo: setup
	$(BIN)/snakemake --cores $(CORES) --quiet reason -- results/summary.csv all
	@echo; cat results/summary.md

# What the README promises of a finished `make demo`.
demo-check: setup
	LIGERO_DEMO_RESULTS=results $(BIN)/python -m pytest -q tests/workflow/test_demo_results.py tests/workflow/test_demo_exports.py

# Real Spanish in small, from the mirror folder that the configuration names.
sample: setup
	@test -d models/e5-small-es || echo "models/e5-small-es is missing: its rows will be left out (docs/local-weights.md builds it in a minute)"
	$(BIN)/snakemake --cores $(CORES) --quiet reason --configfile=config/spanish-sample.yaml results/spanish-sample/summary.csv

# Size, multiply-accumulate operations and speedups of the thesis' 17 systems, offline.
efficiency: setup
	$(BIN)/snakemake --cores $(CORES) --configfile=config/thesis.yaml results/thesis/tables/efficiency.csv

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

check: lint
	$(PYTEST) -m "not slow and not slurm"

test: check
	$(PYTEST) -m "slow and not slurm"

# The cluster profile on a real Slurm, which is installed where there is none: as root on Debian or Ubuntu.
test-slurm: setup
	sinfo --noheader >/dev/null 2>&1 || tests/slurm/cluster.sh start
	$(BIN)/python -m pytest -q tests/slurm

# The part of it that takes two minutes, and leaves nothing running; skipped, with the reason, where Slurm cannot be installed.
test-slurm-short: setup
	tests/slurm/short.sh

# Fast tests that need no torch, under another Python: make check-light LIGHT=python3.13
LIGHT ?= $(PYTHON)
check-light:
	test -x .venv-light/$(LIGHT)/bin/python || $(LIGHT) -m venv .venv-light/$(LIGHT)
	.venv-light/$(LIGHT)/bin/pip install --quiet --no-deps $$(grep '==' requirements.lock | grep -vE '^(torch|thop|accelerate)==')
	OMP_NUM_THREADS=1 .venv-light/$(LIGHT)/bin/python -m pytest -q -n $(WORKERS) -p tests.without_torch -m "not slow and not slurm"
	.venv-light/$(LIGHT)/bin/snakemake -n -q all

# Wheels for every supported Python; downloads about 1 GB, installs nothing.
check-lock: setup
	$(BIN)/python tests/check_lock.py

# A crate of `ligero pack` (CRATE=FOLDER) against the Provenance Run Crate profile, without network. The validator brings 20 packages
# and older versions of some of ours, so it has an environment of its own, which tests find.
CRATE ?=
check-crate: setup
	test -x .venv-crate/bin/rocrate-validator || { $(BIN)/python -m venv .venv-crate && .venv-crate/bin/pip install --quiet roc-validator==0.13.0; }
	$(if $(CRATE),.venv-crate/bin/python -m tests.validate_crate $(CRATE),$(BIN)/python -m pytest -q tests/unit/test_pack.py)

# Faults put into the library one at a time, which the tests must find; FAULTS="1-8 20" takes some of them.
mutate: setup
	$(BIN)/python -m tests.mutation $(FAULTS)

# Faults put into a small study, each in a copy of it: docs/reliability.md. SEED and COUNT choose them.
SEED ?= 1
COUNT ?= 28
faults: setup
	$(BIN)/python -m tests.faults --seed $(SEED) --count $(COUNT)

# Lines, untyped records, import cycles, unused pins and dialect; WHERE=--where lists them.
count: setup
	$(BIN)/python -m tests.count $(WHERE)

schema: setup
	$(BIN)/python workflow/scripts/describe_settings.py

bench-data bench-pretraining bench-distillation bench-inference bench-serving bench-workflow bench-early-exit: setup
	$(BIN)/python benchmarks/$(subst -,_,$@).py --out results/bench/$(@:bench-%=%).csv
