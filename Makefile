# Everything runs in .venv, which install.py makes and fills.
#
#   make demo PIP_ARGS="--extra-index-url URL"    passes options to pip
#   make demo PYTHON=python3.12                   chooses the interpreter (3.11 or 3.12)
#   make test TESTS=tests/trimaran/serving        runs some of the tests
#   make test WORKERS=4                           in so many test processes at once
#   make gpu-proof WHEELS=folder                  with what proofs.gpu packed elsewhere
#   make test SKIP_MISSING=1                      leaves out tests whose programs are not here

PYTHON ?= python3
PIP_ARGS ?=
TESTS ?=
WORKERS ?= 3
WHEELS ?= gpu-wheels
export PYTHON PIP_ARGS
# Files are UTF-8, whatever the locale says.
export PYTHONUTF8 := 1
# What is compiled once is not compiled in every process.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder
NAMED := $(if $(filter file,$(origin PYTHON)),,--named)

# $(call ready,TARGET): .venv holds what the target needs.
define ready
@command -v "$$PYTHON" >/dev/null || \
    { echo "error: there is no $$PYTHON here; install Python 3.11 or 3.12, or name one as in: make $@ PYTHON=/path/to/python3.12" >&2; exit 1; }
@"$$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
    { echo "error: $$PYTHON is not Python 3.11 or 3.12; name one as in: make $@ PYTHON=python3.12" >&2; exit 1; }
@"$$PYTHON" install.py $(1) $(NAMED)
endef

.PHONY: demo serve train train-tools monitor monitor-tools bench bench-tools peers proofs reliability sanitize mutants \
    gpu-proof test test-long fresh lint format clean

demo:
	$(call ready,run)
	$(BIN)/trimaran demo $(FILES)

serve:
	$(call ready,run)
	$(BIN)/trimaran serve

train:
	$(call ready,train)
	$(BIN)/trimaran train churn

train-tools:
	$(call ready,train)

monitor: monitor-tools
	$(BIN)/trimaran monitor up

monitor-tools:
	$(call ready,monitor)
	$(BIN)/python -m monitoring.programs

bench-tools:
	$(call ready,bench)

peers: bench-tools
	$(BIN)/python -m proofs.peers.environments
	$(BIN)/python -m proofs.peers.check

bench: peers
	$(BIN)/python -m proofs.peers --output docs/benchmarks.md --trials .trimaran/peers.jsonl

proofs:
	$(call ready,test)
	$(BIN)/python -m proofs.architectures --processes 2 --output docs/architectures.md
	$(BIN)/python -m proofs.precision --output docs/precision.md
	$(BIN)/python -m proofs.onnx_suite --operators 400 --output docs/onnx-suite.md
	$(BIN)/python -m proofs.mutations --output docs/checker.md
	$(BIN)/python -m proofs.gate --output docs/gate.md

# Kills processes of a served repository, and sends it bad requests; about 40 minutes.
reliability:
	$(call ready,test)
	$(BIN)/python -m proofs.reliability --output docs/reliability.md

# Bad requests, loads and unloads against the native ONNX backend, built with sanitizers.
sanitize:
	$(call ready,test)
	$(BIN)/python -m proofs.reliability sanitizers

# Small mistakes put into the code, one at a time; prints those that no test notices.
mutants:
	$(call ready,test)
	$(BIN)/python -m proofs.mutants --output docs/mutants.md

# On a machine with an NVIDIA GPU, torch for CUDA and no network; at most eight minutes.
gpu-proof:
	@"$$PYTHON" -m proofs.gpu run "$(WHEELS)" --output docs/gpu.md

test:
	$(call ready,test)
	$(BIN)/python -m tests.programs
	$(PYTEST) -m "not long" $(TESTS)

# The long forms of proofs whose short forms `make test` runs.
test-long:
	$(call ready,test)
	$(BIN)/python -m tests.programs
	$(PYTEST) -m long $(TESTS)

# As root: the README's commands on a bare Debian, as an ordinary user.
fresh:
	@"$$PYTHON" -m proofs.fresh $(FRESH)

lint:
	$(call ready,lint)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format:
	$(call ready,lint)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .trimaran .mypy_cache .pytest_cache .ruff_cache .hypothesis
