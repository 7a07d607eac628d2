# Winnow: every command a newcomer or CI needs. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
PY      = $(VENV)/bin/python
# Torch with spinning threads on a shared machine was seen to be 8 times slower.
export OMP_WAIT_POLICY = PASSIVE
export HF_HUB_DISABLE_TELEMETRY = 1
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL = help
.PHONY: help setup setup-dev run demo test check format clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(PY):
	$(PYTHON) -c 'import sys; sys.exit("Winnow needs Python 3.11 or newer; set PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: requirements.txt | $(PY)
	$(PY) -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.dev-ready: requirements.txt requirements-dev.txt | $(PY)
	$(PY) -m pip install --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/.run-ready

setup: $(VENV)/.run-ready  ## install what the dashboard needs, into .venv (a torch already there is kept)

setup-dev: $(VENV)/.dev-ready  ## the same, and what the tests and checks need

run: $(VENV)/.run-ready  ## the dashboard (sets up on first use)
	$(PY) -m streamlit run app.py

demo: $(VENV)/.run-ready  ## the main job without a browser: select, repair, evaluate, print the table
	$(PY) -m core demo run

test: $(VENV)/.dev-ready  ## every test (sets up on first use)
	$(PY) -m pytest -n 2 --dist worksteal

check: $(VENV)/.dev-ready  ## format, lint, types, import contracts
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.dev-ready  ## put the code into its usual form
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:  ## remove what the tools left behind (never the workspace)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
