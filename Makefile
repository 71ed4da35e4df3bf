# Everything runs in .venv, which the first target makes.
#
#   make demo PIP_ARGS="--extra-index-url URL"    passes options to pip
#   make demo PYTHON=python3.12                   chooses the interpreter (3.11 or 3.12)

PYTHON ?= python3
PIP_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
TRAIN_READY := $(VENV)/.train-ready
BENCH_READY := $(VENV)/.bench-ready
MONITOR_READY := $(VENV)/.monitor-ready
TEST_READY := $(VENV)/.test-ready
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) --constraint constraints.txt

.PHONY: demo serve train monitor monitor-tools bench bench-tools peers proofs test lint format clean

demo: $(RUN_READY)
	$(BIN)/trimaran demo $(FILES)

serve: $(RUN_READY)
	$(BIN)/trimaran serve

train: $(TRAIN_READY)
	$(BIN)/trimaran train churn

monitor: $(MONITOR_READY)
	$(BIN)/trimaran monitor up

monitor-tools: $(MONITOR_READY)

bench-tools: $(BENCH_READY)

peers: $(BENCH_READY)
	$(BIN)/python -m loadtests.peers.environments
	$(BIN)/python -m loadtests.peers.check

bench: peers
	$(BIN)/trimaran bench peers --out docs/benchmarks.md --trials .trimaran/peers.jsonl

proofs: $(TEST_READY)
	$(BIN)/python -m conformance.architectures --processes 2 --out docs/architectures.md
	$(BIN)/python -m conformance.precision --out docs/precision.md
	$(BIN)/python -m conformance.onnx_suite --operators 400 --out docs/onnx-suite.md
	$(BIN)/python -m conformance.mutations --out docs/checker.md

test: $(TEST_READY)
	$(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

lint: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TEST_READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .trimaran .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	    { echo "error: $(PYTHON) is not Python 3.11 or 3.12; name one with PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

$(RUN_READY): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[export,serve]'
	touch $@

$(TRAIN_READY): $(RUN_READY)
	$(PIP) --editable '.[export,serve,train]'
	touch $@

$(MONITOR_READY): $(RUN_READY)
	@command -v prometheus >/dev/null && command -v prometheus-alertmanager >/dev/null || \
	    { apt-get update && apt-get install --yes --no-install-recommends prometheus prometheus-alertmanager; } || \
	    { echo "error: install Prometheus and Alertmanager, on Debian with: apt-get install prometheus prometheus-alertmanager"; exit 1; }
	$(PIP) --editable '.[export,serve,monitoring]'
	touch $@

$(BENCH_READY): $(TRAIN_READY)
	$(PIP) --editable '.[export,serve,train,loadtests]'
	touch $@

# The perf_analyzer that the tests run needs a library which no wheel carries.
$(TEST_READY): $(TRAIN_READY) $(MONITOR_READY)
	@command -v chromium >/dev/null || \
	    { apt-get update && apt-get install --yes --no-install-recommends chromium; } || \
	    { echo "error: install Chromium, on Debian with: apt-get install chromium"; exit 1; }
	@ldconfig -p | grep -q 'libb64\.so\.0d' || \
	    { apt-get update && apt-get install --yes libb64-0d; } || \
	    { echo "error: install libb64.so.0d, on Debian with: apt-get install libb64-0d"; exit 1; }
	$(PIP) --editable '.[export,serve,train,monitoring,loadtests,tracking,conformance,test,lint]'
	touch $@
