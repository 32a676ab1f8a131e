# Loadstar: two commands matter, `make demo` and `make test`. `make help` lists all.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
NAME ?= loadstar

.DEFAULT_GOAL := help
.PHONY: help demo test lint types contracts unit integration e2e generate cluster-up cluster-down cluster-status kubeconfig bench-launch bench-progress bench-trainer bench-placement fuzz clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

demo: $(VENV)/.ready ## Set up a cluster, install the chart, run the examples, show where and why they ran
	@$(PY) -m tests.demo --name $(NAME)

test: $(VENV)/.ready ## Everything: lint, types, contracts, unit, property, chart, integration, faults, end-to-end
	@$(PY) -m tests.stages

lint: $(VENV)/.ready ## ruff: errors and format
	@$(PY) -m tests.stages lint

types: $(VENV)/.ready ## mypy, strict
	@$(PY) -m tests.stages types

contracts: $(VENV)/.ready ## import-linter: the layers of docs/architecture.md
	@$(PY) -m tests.stages contracts

unit: $(VENV)/.ready ## Unit, property, contract and chart tests; no cluster
	@$(PY) -m tests.stages unit

integration: $(VENV)/.ready ## Integration and fault tests on a real control plane
	@$(PY) -m tests.stages integration

e2e: $(VENV)/.ready ## End-to-end tests on kind clusters
	@$(PY) -m tests.stages jobs e2e

generate: $(VENV)/.ready ## Write the generated files anew: CRD, install.yaml, references
	@$(PY) -m tests.generate

cluster-up: $(VENV)/.ready ## Start the kind cluster with Prometheus and the DCGM simulator
	@$(PY) -m tests.cluster up --name $(NAME)

cluster-down: $(VENV)/.ready ## End the cluster and leave nothing behind
	@$(PY) -m tests.cluster down --name $(NAME)

cluster-status: $(VENV)/.ready ## What runs of the cluster
	@$(PY) -m tests.cluster status --name $(NAME)

kubeconfig: $(VENV)/.ready ## Print the path of the cluster's kubeconfig
	@$(PY) -m tests.cluster kubeconfig --name $(NAME)

bench-launch: $(VENV)/.ready ## Launch rate and latency against bare pods, on 300 kwok nodes
	@$(PY) -m tests.bench.launch

bench-progress: $(VENV)/.ready ## How soon reports of 200 jobs are answered, and seen in their resources
	@$(PY) -m tests.bench.progress

bench-trainer: $(VENV)/.ready ## The training loop against plain PyTorch and Lightning, and a pod's start-up
	@$(PY) -m tests.bench.trainer

bench-placement: $(VENV)/.ready ## Forecast and placement on recorded traces ($$LOADSTAR_TRACES), against others
	@$(PY) -m tests.bench.placement

fuzz: $(VENV)/.ready ## A million broken inputs for each parser of what users' containers write
	@$(PY) -m tests.fuzz

clean: ## Remove the Python environment and build results (not the cache of built tools and images)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/.ready: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {v[0]}.{v[1]}: run make PYTHON=/path/to/python3.11")'
	@echo "Setting up the Python environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "python3's venv module is missing: install it (Debian: apt-get install python3-venv)"; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
