# make demo: learn a real task in two minutes.  make test: what CI runs (with make lint).  make help: the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := $(VENV)/.ready
READY_TO_RUN := $(VENV)/.ready-run

.PHONY: help demo beamline test test-slow fuzz lint format docs studies bench dist pins clean

help:
	@echo "demo       NAF learns a MuJoCo task in about two minutes: score, curve, film"
	@echo "beamline   three shifts at a made-up beam line, one kill, and a page of what came out: one or two minutes"
	@echo "test       the tests        test-slow  long learning, twenty kills"
	@echo "fuzz       random damage to whatever is read, for ten minutes (FUZZ_SECONDS, FUZZ_SEED)"
	@echo "lint       style and types  format     fix style"
	@echo "docs       the site, in site/index.html"
	@echo "studies    NAF's learning curves that studies/data lacks (all studies: python -m studies list)"
	@echo "bench      speed against this machine's own limit and, where installed, SB3 and SBX"
	@echo "dist       wheel and sdist  pins       the requirements files again    clean"

# Pinned versions with hashes, then the package itself; done again only when one of these files changes.
# `make demo` installs what running needs; the other targets add what tests and documents need.
$(READY_TO_RUN): requirements.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'reverie needs Python 3.11 or newer: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(PYTHON) -c "import pathlib; pathlib.Path('$@').touch()"

$(READY): $(READY_TO_RUN) requirements-test.txt requirements-docs.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-test.txt -r requirements-docs.txt
	$(PYTHON) -c "import pathlib; pathlib.Path('$@').touch()"

demo: $(READY_TO_RUN)
	@$(BIN)/python examples/demo.py

beamline: $(READY)
	@$(BIN)/python -m examples.beamline

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=10

test-slow: $(READY)
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/python -m pytest -m slow

fuzz: $(READY)
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) $(BIN)/python -m pytest tests/fuzz -s

lint: $(READY)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pyright --pythonpath $(BIN)/python

format: $(READY)
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

studies: $(READY)
	$(BIN)/python -m studies run normalisation

bench: $(READY)
	$(BIN)/reverie bench $(if $(AGAINST),--against $(AGAINST))

dist: $(READY)
	$(BIN)/python -m build --no-isolation

# One resolution for all three files, so that they agree on every version; each then keeps the part it needs.
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url --no-header --quiet
pins:
	mkdir -p build
	$(COMPILE) --upgrade --extra dev -o build/pins.txt
	cp build/pins.txt requirements.txt
	cp build/pins.txt requirements-test.txt
	cp build/pins.txt requirements-docs.txt
	$(COMPILE) --generate-hashes --extra mujoco --extra video --extra plot --extra editable -o requirements.txt
	$(COMPILE) --generate-hashes --extra test -o requirements-test.txt
	$(COMPILE) --generate-hashes --extra docs -o requirements-docs.txt

clean:
	rm -rf $(VENV) build dist
