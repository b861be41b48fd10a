# make demo: learn a real task in two minutes.  make test: what CI runs (with make lint).  make help: the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := $(VENV)/.ready

.PHONY: help demo test test-slow fuzz lint format docs results bench dist pins clean

help:
	@echo "demo       NAF learns a MuJoCo task in about two minutes: score, curve, film"
	@echo "test       the tests        test-slow  long learning, twenty kills"
	@echo "fuzz       random damage to whatever is read, for ten minutes (FUZZ_SECONDS, FUZZ_SEED)"
	@echo "lint       style and types  format     mend style"
	@echo "docs       the site, in site/index.html"
	@echo "results    the learning curves under results/, again (about an hour)"
	@echo "bench      speed against this machine's own limit and, where installed, SB3 and SBX"
	@echo "dist       wheel and sdist  pins       requirements.txt again    clean"

# Pinned versions with hashes, then the package itself; done again only when either changes.
$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'reverie needs Python 3.11 or newer: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(PYTHON) -c "import pathlib; pathlib.Path('$@').touch()"

demo: $(READY)
	@$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

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

results: $(READY)
	$(BIN)/python results/learn.py

bench: $(READY)
	$(BIN)/reverie bench $(if $(AGAINST),--against $(AGAINST))

dist: $(READY)
	$(BIN)/python -m build --no-isolation

pins:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --quiet --upgrade -o requirements.txt

clean:
	rm -rf $(VENV) build dist
