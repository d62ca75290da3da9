# Everything a clone needs: Python 3.11 or newer, make, and a package registry.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
SONGS  ?= examples

.PHONY: separate test check bench evaluate clean

separate: $(READY)  ## Separate the bundled song and compare with its true stems
	$(BIN)/unweave separate examples/song/mixture.ogg --output stems --name "song/{stem}" --overwrite
	$(BIN)/unweave evaluate stems/song examples/song --baselines mixture --no-bss --output stems/scores.csv --overwrite

test: $(DEV)  ## Prove the package
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2

check: $(DEV)  ## Style, types, layers
	$(BIN)/ruff check src tests benchmarks docs examples
	$(BIN)/ruff format --check src tests benchmarks docs examples
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV)  ## Print the tables that the documents quote
	$(BIN)/python benchmarks/stft.py
	$(BIN)/python benchmarks/transforms.py --slow
	$(BIN)/python benchmarks/transforms.py --wall
	$(BIN)/python benchmarks/filtering.py
	$(BIN)/python benchmarks/decomposition.py
	$(BIN)/python benchmarks/codec.py
	$(BIN)/python benchmarks/codec_quality.py
	$(BIN)/python benchmarks/codec_training.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/datasets.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/separate.py

evaluate: $(READY)  ## Score the shipped weights: make evaluate [SONGS=folder of songs with stems]
	$(BIN)/python -m unweave.training.recipe.evaluate $(SONGS)

# Torch first and alone: pinned, it is the processor-only build where one is offered.
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

$(READY): pyproject.toml constraints.txt
	@echo "setting up $(VENV): PyTorch is large, this takes a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) torch
	@$(PIP) --editable .
	@touch $@

$(DEV): $(READY)
	@echo "adding the tools for development to $(VENV)"
	@$(PIP) --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) stems build dist
