# Two commands do everything themselves: `make demo` and `make test`.
PYTHON ?= python3
PROFILE ?= camvid-small
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The environment's programs first, so that DVC's stages find `seglock`.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where Python may keep nothing compiled, each process compiles torch anew: 10 s instead of 3.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help env demo services test test-fast check lint types imports docs pictures tests test-gpu benchmarks protocol lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: $(READY) ## make .venv from requirements.lock (downloads about 6 GB with CUDA libraries, once)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "seglock needs Python 3.11 or 3.12, got $$($(PYTHON) -V); try make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 2; }
	@echo "Installing the locked environment into $(VENV): 6 GB the first time, 10 minutes at 100 Mbit/s; then a minute"
	@grep -A 60 '^uv==' requirements.lock | awk 'NR > 1 && !/^ /{exit} {print}' > $(VENV)/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock || \
	  $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: env ## run the whole pipeline of params.yaml (minutes on two cores), then show the table
	dvc repro
	@seglock report --show

services: ## install the database server and browser that some tests start (Debian, as root; skipped elsewhere)
	@.ci/services

test: env check ## lint, then types, import rules, the docs site and the tests side by side

check: lint
	@$(MAKE) --no-print-directory -j 2 types imports docs tests

lint:
	ruff format --check .
	ruff check .

types:
	mypy

imports:
	lint-imports

# A warning is an error, and so is a page that asks another host for what it shows.
docs: env ## build the docs site into .seglock/site
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict
	@! grep -rlE '<(script|img|iframe)[^>]* src="(https?:)?//|<link[^>]* href="(https?:)?//' --include='*.html' .seglock/site || \
	  { echo "these pages ask another host for what they show"; exit 2; }

pictures: env ## the docs' pictures and screenshots anew, from a finished `make demo` (needs Chromium)
	python docs/make_pictures.py
	python docs/make_screenshots.py

# Processes of one thread each, a file of tests being one piece of work (tests/conftest.py); three more than there are cores, since tests also
# wait for servers and for what they have killed. Fast ones do not wait: there each process more only imports once more.
PYTEST := OMP_NUM_THREADS=1 python -m pytest -n 5 --no-loadscope-reorder

tests:
	$(PYTEST)

test-fast: env lint imports ## all tests but those of the files in tests/slow.txt, and no types: for between edits
	$(PYTEST) -n 2 -q $$(sed 's,^,--ignore=tests/,' tests/slow.txt)

test-gpu: env ## the tests that need a CUDA device
	python -m pytest -m gpu

benchmarks: env ## measure speed on this machine, and render the pages that show it
	python -m benchmarks.transforms
	python -m benchmarks.training
	python -m benchmarks.busy
	python -m benchmarks.access_control
	python -m benchmarks.pipeline
	python -m benchmarks.serving
	python -m benchmarks.refusal
	python -m benchmarks.rotation
	python -m benchmarks.tables

protocol: env ## the paper's table on PROFILE's images (camvid-small: no GPU), resumed where it stopped
	python -m benchmarks.protocol --profile $(PROFILE)
	python -m benchmarks.protocol --profile $(PROFILE) --variants ablations
	python -m benchmarks.tables

lock: env ## write requirements.lock anew from pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header \
	  --generate-hashes --group dev pyproject.toml -o requirements.lock

clean: ## remove what the pipeline wrote (not the keys, not DVC's cache)
	rm -rf data/raw data/prepared data/weights data/encrypted data/models data/evaluations data/attacks data/search data/reports .seglock
