# Needs Python 3.11 or newer with venv and pip, and a package index. Everything else goes into .venv.

PYTHON ?= python3
UV_VERSION := 0.13.9
PYTEST_ARGS ?=
BENCH_ARGS ?=
COVERAGE_ARGS ?=
TEST_PROCESSES ?= 6
PYTHONS ?= python3.11 python3.12 python3.13 python3.14

# What is covered whole, and the tests that do it: those of contract/ that have the store in front of them.
COVERED := receiver/receive.py,receiver/mirror.py,receiver/deliver.py,receiver/signatures.py,receiver/store/*
COVERING := $(patsubst %,tests/unit/test_%.py,receive mirror deliver signatures tracing) tests/unit/store \
	$(patsubst %,tests/unit/%.py,worker/test_forwarding worker/test_mirroring worker/test_pruning cli/test_backup cli/test_prune) \
	$(filter-out $(patsubst %,tests/contract/test_%,admin_% destination% provider% receiver_% sandbox% spares.py), \
	$(wildcard tests/contract/test_*.py))

BIN := .venv/bin
STAMPS := .venv/stamps
UV := $(STAMPS)/uv-$(UV_VERSION)

# uv does not read pip's configuration: hand it the index and the certificates that pip would use.
PIP_HAS = $$($(BIN)/pip config list 2>/dev/null | sed -n "s/^[^=]*[.]$(1)='\(.*\)'/\1/p" | head -n 1)
UV_RUN = UV_PYTHON_DOWNLOADS=never \
	UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$(call PIP_HAS,index-url)}" \
	SSL_CERT_FILE="$${SSL_CERT_FILE:-$(call PIP_HAS,cert)}" $(BIN)/uv
INSTALL_FOR = $(UV_RUN) pip install -q --compile-bytecode -c constraints.txt --build-constraints constraints.txt --python
INSTALL = $(INSTALL_FOR) $(BIN)/python
# Without it, an interpreter with PYTHONDONTWRITEBYTECODE compiles the whole package at every start.
COMPILE = $(BIN)/python -m compileall -q receiver
# With that variable, pytest would rewrite every test in each process: more than half of the collection time.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/pytest
PYTEST_COVERING = $(PYTEST) --cov=receiver --cov-branch --cov-report=

.DEFAULT_GOAL := help
.PHONY: help setup setup-run demo dist house twins test test-failed test-all coverage test-dialects check fmt bench trace senders chaos field matrix constraints

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMPS)/dev  ## install everything for development, including test servers

setup-run: $(STAMPS)/run  ## install only what is needed to run it

demo: setup-run  ## see a generation arrive, be mirrored and be forwarded; needs no account
	@$(BIN)/receiver demo

test: setup  ## run the tests; PYTEST_ARGS="-k name -x" narrows them
	$(PYTEST) --numprocesses $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

test-failed: setup  ## run the tests again that failed last, one at a time
	$(PYTEST) --last-failed --last-failed-no-failures none $(PYTEST_ARGS)

coverage: setup  ## show what tests miss of receiving, mirroring, forwarding, signatures and the store; fails if anything
	$(PYTEST_COVERING) $(COVERAGE_ARGS) --numprocesses $(TEST_PROCESSES) --dist worksteal $(COVERING) || \
		$(PYTEST_COVERING) --cov-append --last-failed --last-failed-no-failures none $(COVERING)
	$(BIN)/coverage report --show-missing --skip-covered --fail-under=100 --include='$(COVERED)'

test-dialects: setup  ## run the client's and the sandbox's tests on 25 more dialects of the provider
	RECEIVER_TEST_DIALECTS=25 $(PYTEST) --numprocesses $(TEST_PROCESSES) --dist worksteal tests/contract tests/unit/cli $(PYTEST_ARGS)

test-all: setup  ## run the tests on every Python of PYTHONS that this machine has
	@failed=0; for python in $(PYTHONS); do \
		if ! $$python -c '' 2>/dev/null; then echo "$$python: SKIPPED, not on this machine"; continue; fi; \
		folder=.venv/pythons/$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$$python: in $$folder"; \
		{ $(UV_RUN) venv -q --allow-existing --python "$$($$python -c 'import sys; print(sys.executable)')" $$folder \
			&& $(INSTALL_FOR) $$folder/bin/python -e '.[all]' --group dev \
			&& $$folder/bin/pytest --numprocesses $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS); } || failed=1; \
	done; exit $$failed

check: setup  ## check formatting, lint, types and import floors
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fmt: setup  ## format the code, and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

twins: setup  ## write the blocking client from the async one
	$(BIN)/python tools/unasync.py

house: setup  ## print the size of the code, and the length of sentences; HOUSE_ARGS="--pages" has a row for each page
	$(BIN)/python -m tests.house $(HOUSE_ARGS)

dist: $(UV)  ## build the wheel and the sdist into dist/
	$(UV_RUN) build -q -o dist

bench: setup  ## measure speed and cost; BENCH_ARGS="--only PART" runs accept, drain, latency, mirror, growth, commands or idle
	$(BIN)/python -m tests.benchmark.bench $(BENCH_ARGS)

trace: setup  ## list the files and functions that a webhook passes through until its message is in a queue
	$(BIN)/python -m tests.benchmark.trace

senders: setup  ## post webhooks as undici, axios, got, OkHttp, Apache HttpClient and reqwest do, which it installs
	RECEIVER_TEST_SENDERS=all $(BIN)/pytest tests/acceptance/test_senders.py $(PYTEST_ARGS)

chaos: setup  ## run hostile clients, restarts and kill -9, for a long time; CHAOS_ARGS="--rounds 20 --seconds 5" shortens it
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

field: setup  ## break real servers under the destinations and the database, and print the rows of docs/field.md
	$(BIN)/python -m tests.field

matrix: setup  ## show which destination passes which case, and keep the table in docs/
	RECEIVER_TEST_REQUIRE=all $(BIN)/python -m tests.contract.matrix

constraints: $(UV)  ## resolve dependency versions again, after a change of pyproject.toml
	@$(UV_RUN) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--all-extras --group dev pyproject.toml -o constraints.txt

$(STAMPS)/dev: $(UV) pyproject.toml constraints.txt
	@echo "installing into .venv, for development"
	@$(INSTALL) -e '.[all]' --group dev
	@$(COMPILE)
	@touch $(STAMPS)/run $@

$(STAMPS)/run: $(UV) pyproject.toml constraints.txt
	@echo "installing into .venv"
	@$(INSTALL) -e '.[all]'
	@$(COMPILE)
	@touch $@

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed and '$(PYTHON)' is not: install it, or run make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments: install python3-venv (Debian, Ubuntu)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@mkdir -p $(STAMPS)
	@touch $@
