# make demo    a conversation that survives its process; needs python3 and make, nothing else
# make test    the tests; those of a server that is not there are skipped and named
# make test-knowledge  the tests of all vector stores and of SurrealDB; installs their clients and engines, 2 GB
# make test-integrations  the tests of other frameworks' adapters; installs the frameworks
# make check   format, lint, types and import rules
# make bench   all benchmarks in their short form, 15 minutes: docs/benchmarks/, docs/benchmarks.md
# make bench-full  the same in their full form, hours
# make build   the sdist and the wheel, in dist/
# make docs    the documents as a site, in site/; a broken link or a page left out fails
# make support  the tables of README.md and docs/ that are data, from praison_persist/backends.py
# make clean   remove what the above made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n 3 -r fEX -p tests.skip_summary
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
# The system's certificates, as pip takes them: a network may have an authority of its own.
export UV_SYSTEM_CERTS := 1
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: demo test test-knowledge test-integrations docs support check format lint mypy pyright imports \
  bench bench-full ours-for-bench build clean

demo: $(VENV)/.agents
	@$(BIN)/python examples/demo.py

test: $(VENV)/.test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# What needs no client of a vendor is among the tests above.
test-knowledge: $(VENV)/.knowledge
	$(BIN)/pyright --project pyrightconfig.knowledge.json --pythonpath $(BIN)/python
	PRAISON_REQUIRE_KNOWLEDGE=1 $(BIN)/python -m pytest $(PYTEST_ARGS) tests/knowledge \
	  tests/conversation/test_surrealdb*.py \
	  --ignore=tests/knowledge/test_sql.py --ignore=tests/knowledge/test_beside.py \
	  --ignore-glob='*/test_redis*.py' --ignore-glob='*/test_mongodb*.py' \
	  --ignore-glob='*/test_singlestore*.py'

test-integrations: $(VENV)/.integrations
	$(BIN)/pyright --project pyrightconfig.integrations.json --pythonpath $(BIN)/python
	PRAISON_REQUIRE_INTEGRATIONS=1 $(BIN)/python -m pytest $(PYTEST_ARGS) tests/integrations

# Both variables silence an advertisement of what is to come after MkDocs 1, and nothing else.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet
	$(BIN)/python -m tests.site site

# Environments beside each other: ours, the peers', and the original's, whose needs differ.
BENCH ?= .venv-bench
BENCH_ARGS ?=
MEASURE := $(BENCH)/bin/python -m benchmarks all --json docs/benchmarks/results.json \
  --plots docs/benchmarks

bench: ours-for-bench $(BENCH)-peers/.installed $(BENCH)-praisonai/.installed
	$(MEASURE) --form short $(BENCH_ARGS)

bench-full: ours-for-bench $(BENCH)-peers/.installed $(BENCH)-praisonai/.installed
	$(MEASURE) --form full $(BENCH_ARGS)

ours-for-bench:
	@$(MAKE) --no-print-directory VENV=$(BENCH) $(BENCH)/.bench

$(BENCH)-peers/.installed: benchmarks/requirements.txt
$(BENCH)-praisonai/.installed: benchmarks/requirements-praisonai.txt

$(BENCH)-%/.installed:
	@$(MAKE) --no-print-directory VENV=$(@D) $(@D)/bin/uv
	@echo "Installing $< into $(@D) ..."
	@$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@

support: $(VENV)/bin/python
	$(BIN)/python -m praison_persist.support README.md docs

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
# With uv: pip takes minutes to find versions of so many packages that fit together.
$(VENV)/.%: $(VENV)/bin/uv pyproject.toml
	@echo "Installing praison-persist[$*] into $(VENV) ..."
	@$(UV) --editable ".[$*]" $(ALSO)
	@touch $@

$(VENV)/.test: ALSO := hatchling  # builds the wheel that is tested

$(VENV)/.knowledge $(VENV)/.integrations: $(VENV)/.%: $(VENV)/bin/uv pyproject.toml
	@echo "Installing praison-persist[lint,$*] into $(VENV) ..."
	@$(UV) --editable ".[lint,$*]"
	@touch $@

$(VENV)/.build: $(VENV)/bin/uv
	@$(UV) build
	@touch $@

$(VENV)/bin/uv: $(VENV)/bin/python
	@$(PIP) uv
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); false; }

clean:
	rm -rf .venv .venv-* dist build site demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
