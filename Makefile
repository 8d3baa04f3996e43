# Every target does all of its own set-up: a virtual environment in .venv and the pinned packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ENGINES := $(VENV)/.engines

.PHONY: search test check clean

search: $(READY)
	$(BIN)/nnlqp-nas search

test: $(ENGINES)
	$(BIN)/python -m pytest

check: $(ENGINES)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# torch comes first and pinned: left to a resolver it would bring a CUDA build of several gigabytes.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

# Every inference engine that pip installs, NNI and Hydra's launcher: a test of one that is absent is skipped, and its types are unknown.
$(ENGINES): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,engines,nni,sweeps]'
	touch $(ENGINES)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
