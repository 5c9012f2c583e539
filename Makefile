# Everything a newcomer needs; `make` alone explains it. Only Python 3.11 or newer has to be there.

PYTHON ?= python3
VENV   ?= .venv
CONFIG ?= configs/dates.yaml
# More words for `charseq train`, as in: make train ARGS="--set train.max_steps=50"
ARGS   ?=
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install train test sanitize lint format typecheck gradcheck bench docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## make .venv and install charseq into it

train: $(VENV)/installed ## train configs/dates.yaml, about a minute (CONFIG=…, ARGS=…)
	$(BIN)/charseq train $(CONFIG) --resume $(ARGS)

test: $(VENV)/test ## run the tests on all processors, with coverage
	$(BIN)/python -m pytest -n auto --cov --cov-report=term

# The kernel is built anew, into a cache of its own. Python is built without a sanitizer, so that of
# g++ has to be in the process first, with the library whose exceptions it looks at. What it finds
# ends the process, so its words go past pytest.
sanitize: $(VENV)/test ## run the kernel's tests under g++'s address and undefined-behaviour sanitizers
	cache=$$(mktemp -d) && trap 'rm -rf "$$cache"' EXIT && \
	CHARSEQ_CACHE_DIR="$$cache" CXX="$(CXX)" \
	CXXFLAGS="-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all" \
	ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" && \
	export CHARSEQ_CACHE_DIR CXX CXXFLAGS ASAN_OPTIONS LD_PRELOAD && \
	$(BIN)/python -c 'from charseq.lstm import kernel; kernel.load()' && \
	$(BIN)/python -m pytest -n auto -m kernel --capture=sys tests/lstm

lint: $(VENV)/dev ## style, and which layer imports which
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

format: $(VENV)/dev ## rewrite the code in its style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

typecheck: $(VENV)/dev ## mypy, strict
	$(BIN)/mypy

gradcheck: $(VENV)/installed ## prove the hand-derived backward pass
	$(BIN)/charseq gradcheck $(ARGS)

bench: $(VENV)/dev ## speed of a training step against torch.nn.LSTM
	$(BIN)/python benchmarks/train_speed.py $(ARGS)

docs: $(VENV)/installed ## regenerate the pages that come from the code
	$(BIN)/python docs/generate.py

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage
	find charseq tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "charseq needs Python 3.11 or newer; say which: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The constraints give the tested versions; without them pip would take the newest torch.
# What is installed is noted in files of its own, as pip may write the commands anew.
$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/test $(VENV)/dev: $(VENV)/%: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
