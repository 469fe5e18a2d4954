PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
BIN := .venv/bin
# The exact versions need Python 3.11; an older one gets the newest that it can have.
PINS := $(shell $(PYTHON) -c 'import sys; print("-c constraints.txt" if sys.version_info >= (3, 11) else "")')

# One torch thread per test worker: results do not depend on the machine's cores, and workers do not fight for them.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=10

.PHONY: help setup demo test test-all test-slurm test-gpu docs bench bench-study bench-gpu lint types format constraints clean

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 14

setup: .venv/.ready ## Make .venv with everything in it (skipped when done)

# .unfinished tells a killed set-up, whose .venv may hold half a package, from one that is done or failed cleanly.
.venv/.ready: pyproject.toml constraints.txt
	@if [ -e .venv/.unfinished ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --clear .venv; \
	fi
	@touch .venv/.unfinished
	@echo "Installing into .venv; torch is large, the first time takes minutes"
	@$(BIN)/python -m pip install --quiet $(PINS) -e '.[dev,docs]' \
		|| { status=$$?; [ $$status -gt 128 ] || rm .venv/.unfinished; exit $$status; }
	@mv .venv/.unfinished $@

demo: setup ## Train two small networks on three fractions of the digits and report
	$(BIN)/python -m datavol.run -m model=resnet50,mobilenet_v2 fraction=0.05,0.125,0.25
	$(BIN)/python -m datavol.report studies/digits

test: lint types ## Lint, types and the fast tests
	$(PYTEST) -m "not slow and not slurm and not gpu" $(PYTEST_ARGS)

test-all: lint types ## Lint, types and all tests
	$(PYTEST) -m "not slurm and not gpu" $(PYTEST_ARGS)

test-slurm: setup ## Sweeps on a real SLURM of one node, started on loopback (as root)
	@PATH="$$PATH:/usr/sbin" command -v munged slurmctld slurmd >/dev/null \
		|| { echo "SLURM is not here: apt-get install -y --no-install-recommends slurm-wlm munge" >&2; exit 1; }
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slurm tests/sweep/test_slurm.py $(PYTEST_ARGS)

test-gpu: setup ## Runs on an NVIDIA GPU beside those on the CPU; ten minutes on one
	@$(BIN)/python -m benchmarks.gpu_here
	CUBLAS_WORKSPACE_CONFIG=:4096:8 $(BIN)/python -m pytest -m gpu --durations=10 tests/gpu $(PYTEST_ARGS)

docs: setup ## Build the documentation into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: setup ## Speed against peers, into benchmarks/RESULTS.md; wants a quiet machine
	$(BIN)/python -m benchmarks.bench $(BENCH_ARGS)

bench-study: setup ## A sweep's wall time and the accuracy cost of bf16 and the cache, into the same file
	$(BIN)/python -m benchmarks.bench --study $(BENCH_ARGS)

bench-gpu: setup ## Speed on an NVIDIA GPU against peers, into benchmarks/gpus/; ten minutes on one
	@$(BIN)/python -m benchmarks.gpu_here
	$(BIN)/python -m benchmarks.gpu $(BENCH_ARGS)

lint: setup ## Check style, format and that imports point down
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## Check types
	$(BIN)/mypy

format: setup ## Repair style and format where a tool can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Local versions (+cpu, +cu130) and CUDA libraries belong to one machine; constraints.txt is for all.
constraints: setup ## Take the newest releases into .venv and pin them in constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager -e '.[dev,docs]'
	$(BIN)/python -m pip freeze --exclude-editable > .venv/freeze.txt
	{ grep '^#' constraints.txt; sed -E '/^(nvidia|cuda|triton)|^-| @ /d; s/\+.*//' .venv/freeze.txt; } > .venv/pinned.txt
	mv .venv/pinned.txt constraints.txt

clean: ## Remove caches and builds; .venv and studies/ stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist site *.egg-info
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
