# Every target does its own set-up in .venv; a stamp of pyproject.toml and constraints.txt makes the
# second run start at once. On a machine with a GPU pass TORCH= to keep the torch that pip chooses;
# without one, PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" avoids CUDA.
TORCH ?= torch==2.13.0
PIP_ARGS ?=
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.agon-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
SEED ?= 0
TINY ?= 0
JOBS ?= 2

export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
# compiled modules are kept: without them every process of a test or of the demo compiles the tree anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup test test-slow check demo clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/pip install --quiet $(PIP_ARGS) $(TORCH)
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[train,s3,dev]"
	@rm -f $(VENV)/.agon-* && touch $@

test: setup  ## the whole suite but its slow part, the TINY demo included
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" --durations=25

test-slow: setup  ## minutes long: many seeds, kills and real models
	$(BIN)/python -m pytest -n 1 -m slow

check: setup  ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

demo: setup  ## policies compete on this machine, offline; SEED=1, TINY=1 for two-layer models
	unset OMP_NUM_THREADS; $(BIN)/python -m scripts.demo --seed $(SEED) $(if $(filter 1,$(TINY)),--tiny)

clean:  ## forget everything but the source
	rm -rf $(VENV) .agon .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
