# Every target makes what it needs. `make demo` is the place to start.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STORE  ?= runs
PORT   ?= 5000
PLAN   ?= plan.zip
OUT    ?= gpu-results
MINUTES ?= 14
# to the shell, in which each is one word whatever is in it
export STORE PORT PLAN OUT MINUTES
# a test starts Python again and again: its bytecode is kept, whatever the shell says
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo smoke reproduce ui up down test test-cluster slow faults check lint format docs bench bench-gpu gpu lock audit clean

demo: $(VENV)/.run          ## train 8 small models, draw what their heads learned and their phases
	$(BIN)/python sweeps/grok_phase.py --preset demo --store "$$STORE"

smoke: $(VENV)/.run         ## four tiny trials: does everything work?
	$(BIN)/python sweeps/grok_phase.py --preset smoke --store "$$STORE"

reproduce: $(VENV)/.run     ## the paper's experiments, as far as two hours go: REPRODUCTION.md
	$(BIN)/grok reproduce --budget 2h --store "$$STORE"

ui: $(VENV)/.run            ## MLflow's pages on http://127.0.0.1:5000, or another PORT
	@$(BIN)/grok ui --store "$$STORE" --port "$$PORT"

up: $(VENV)/.stack          ## S3, PostgreSQL, MLflow and a Ray cluster on this machine
	@$(BIN)/python -m infra.local up

down: $(VENV)/.stack        ## stop them; their data stay in .stack/
	@$(BIN)/python -m infra.local down

check: lint test test-cluster  ## what CI runs

test: $(VENV)/.dev          ## the test suite; most of it waits for servers, hence three processes
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder --durations 20

test-cluster: $(VENV)/.dev  ## real servers, whole sweeps, clusters and kills, twenty random faults: twenty minutes
	$(BIN)/python -m pytest -m 'cluster and not slow' -n 3 --no-loadscope-reorder --durations 20

slow: $(VENV)/.dev          ## the tests that CI has no time for
	$(BIN)/python -m pytest -m slow

faults: $(VENV)/.dev        ## two hundred faults on a cluster of one's own: about an hour
	$(BIN)/python -m tests.faults.harness --faults 200 --seed 1 --json faults.json

lint: $(VENV)/.dev          ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev        ## mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.run          ## docs/tables.md from the schema
	$(BIN)/grok columns > docs/tables.md

bench: $(VENV)/.dev         ## speed on this machine's CPU: about an hour
	$(BIN)/python tests/benchmarks/fused_training.py --json fused_training.json
	$(BIN)/python tests/benchmarks/sweep_overhead.py --json sweep_overhead.json
	$(BIN)/python tests/benchmarks/tables_scale.py --json tables_scale.json
	$(BIN)/python tests/benchmarks/tracking_stall.py --json tracking_stall.json
	$(BIN)/python tests/benchmarks/boundary.py --synthetic 40 --json boundary.json

bench-gpu:                  ## speed on a GPU: 8 minutes, with torch and numpy alone
	$(PYTHON) tests/benchmarks/fused_training.py --device cuda --json fused_training_cuda.json

gpu:                        ## a borrowed GPU, 14 MINUTES: is it right, how fast, then train PLAN; torch alone
	$(PYTHON) infra/gpu_check.py --minutes "$$MINUTES" --plan "$$PLAN" --out "$$OUT"

lock: $(VENV)/.dev          ## requirements.lock, with hashes, from pyproject.toml and constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/python infra/lock.py

audit: $(VENV)/.dev         ## known vulnerabilities of what is locked; asks the package index
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

clean:                      ## remove the environment, not the results
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "need Python 3.11 or newer; name one by: make PYTHON=python3.11"; exit 1; }
	@echo "setting up $(VENV): about two minutes, once"
	@$(PYTHON) -m venv $(VENV)

# one call each, as pip takes half a minute to see that all is there; Python compiles what it imports
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@$(INSTALL) -e '.[bdm]'
	@touch $@

$(VENV)/.stack: pyproject.toml constraints.txt | $(BIN)/python
	@$(INSTALL) -e '.[bdm,stack]'
	@touch $(VENV)/.run $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.run $(VENV)/.stack $@
