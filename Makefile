# make demo    a conversation that survives its process; needs python3 and make, nothing else
# make test    the tests; those of a server that is not there are skipped and named
# make check   format, lint, types and import rules
# make build   the sdist and the wheel, in dist/
# make support  the README's table of what is tested, from praison_persist/backends.py
# make clean   remove what the above made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n 3 -r fEX -p tests.skip_summary
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq

.PHONY: demo test support check format lint mypy pyright imports build clean

demo: $(VENV)/.agents
	@$(BIN)/python examples/demo.py

test: $(VENV)/.test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

support: $(VENV)/.test
	$(BIN)/python -m praison_persist.support README.md

check: format lint mypy pyright imports

format: $(VENV)/.lint
	$(BIN)/ruff format --check .

lint: $(VENV)/.lint
	$(BIN)/ruff check .

mypy: $(VENV)/.lint
	$(BIN)/mypy

pyright: $(VENV)/.lint
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.lint
	$(BIN)/lint-imports

build: $(VENV)/.build
	$(BIN)/python -m build --outdir dist

# Each stamp is an extra of this package, installed; a newer pyproject.toml installs it again.
$(VENV)/.%: $(VENV)/bin/python pyproject.toml
	@echo "Installing praison-persist[$*] into $(VENV) ..."
	@$(PIP) --editable ".[$*]" $(ALSO)
	@touch $@

$(VENV)/.test: ALSO := hatchling  # builds the wheel that is tested

$(VENV)/.build: $(VENV)/bin/python
	@$(PIP) build
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); false; }

clean:
	rm -rf .venv .venv-* dist build demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
