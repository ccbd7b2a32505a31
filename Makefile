# Everything runs in .venv, which is built on first use. PYTHON=/path/to/python chooses another interpreter.
NEW_ENOUGH := 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for python in python3.11 python3; do $$python -c $(NEW_ENOUGH) 2>/dev/null && echo $$python && break; done)
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
pip = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore $(1)/python -m pip install --quiet -c constraints.txt
PIP := $(call pip,$(BIN))
READY := .venv/.ready
ARGS ?=

# With a GPU, pip's own torch. Without one, the much smaller CPU build where its index can be reached at once.
define install_torch
if nvidia-smi >/dev/null 2>&1; then \
    $(1) torch; \
else \
    $(1) --timeout 5 --retries 0 --index-url $(TORCH_CPU_INDEX) torch >/dev/null 2>&1 || $(1) torch; \
fi
endef

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow test-matrix test-engines test-verl fuzz audit faults experiments-quick experiments check demo demo-compare demo-fast discriminator discriminator-fast bench-relevance bench-judge bench-injections bench-credit bench-growth bench-step bench-evaluate plant-defects picture docs wheel test-wheel clean clean-all
.DELETE_ON_ERROR:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Build the virtual environment .venv

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" && $(PYTHON) -c $(NEW_ENOUGH) || { \
	    echo "make: needs Python 3.11 or newer; choose one by PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Building .venv (once, a few minutes) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear --upgrade-deps .venv
	@$(call install_torch,$(PIP))
	@$(PIP) --editable '.[train,judge,serve,fast,chinese,general,dev]'
	@touch $@

test: $(READY) build/chromium ## Run the tests, but for the slow ones
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal $(ARGS)

test-slow: $(READY) build/chromium ## Run the slow tests: real models, several processes
	@$(BIN)/python -m pytest -q -m slow --ignore tests/fuzz --ignore tests/test_wheel.py $(ARGS)

test-matrix: $(READY) ## The trainers' tests with the oldest, a middle and the newest TRL; ARGS="1.8.0 1.16.0" chooses
	@TORCH_CPU_INDEX=$(TORCH_CPU_INDEX) $(BIN)/python tools/test_matrix.py $(ARGS)

test-verl: build/verl/.ready ## The tests of verl support, in verl's own environment
	@OMP_NUM_THREADS=1 build/verl/bin/python -m pytest -q -p no:asyncio -m "slow or not slow" tests/trainers/test_verl.py tests/trainers/test_verl_steps.py $(ARGS)

test-engines: build/engines/.ready ## Shared-out weights (FSDP2, DeepSpeed) and weights in 4 bits, on CPUs
	@OMP_NUM_THREADS=1 build/engines/bin/python -m pytest -q -m slow tests/trainers/test_engines.py $(ARGS)

build/engines/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -m venv --clear build/engines
	@$(call install_torch,$(call pip,build/engines/bin))
	@$(call pip,build/engines/bin) --editable '.[train]' bitsandbytes deepspeed hypothesis pytest pytest-socket pytest-timeout pyyaml
	@touch $@

# verl's pins exclude those of .venv. A CPU is enough, so that torch is the CPU build where its index can be reached.
build/verl/.ready: pyproject.toml
	@$(PYTHON) -m venv --clear build/verl
	@export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore; pip="build/verl/bin/python -m pip install --quiet"; \
	    $(call install_torch,$$pip); \
	    $$pip --editable '.[verl,judge]' hypothesis pytest pytest-socket pytest-timeout
	@touch $@

fuzz: $(READY) ## Fuzz readers, rules and alignment; RTT_FUZZ_SECONDS a target, 60 by default
	@$(BIN)/python -m pytest -q -s -m slow tests/fuzz $(ARGS)

audit: $(READY) build/audit/.ready ## Insecure code, flawed packages; fails also where it cannot ask
	@$(BIN)/python tools/audit.py --tools build/audit/bin \
	    --packages "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" $(ARGS)

build/audit/.ready:
	@$(PYTHON) -m venv --clear build/audit
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/audit/bin/python -m pip install --quiet bandit pip-audit
	@touch $@

check: $(READY) ## Style, types, and which module may import which
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$report"; exit 1; }
	@echo "style, types and imports: fine"

# The inspector's tests look at its page in a real browser; where none can be had they are skipped, and say so.
build/chromium:
	@command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null || { \
	    echo "Installing Chromium for the tests of the inspector ..."; \
	    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 \
	    || echo "make: Chromium cannot be installed here, so tests that need a browser are skipped" >&2; }
	@mkdir -p build && touch $@

experiments-quick: $(READY) ## A reduced small world, held against the published order; under 30 minutes
	@$(BIN)/python -m experiments.small_world quick $(ARGS)

experiments: $(READY) ## All stages of the small world, each going on where it was stopped; hours
	@$(BIN)/python -m experiments.small_world tune
	@$(BIN)/python -m experiments.small_world run headline harder further remedies partitions relevance stress
	@$(BIN)/python -m experiments.small_world run second second-csr second-harder second-relevance second-stress
	@$(BIN)/python -m experiments.small_world holes
	@$(BIN)/python -m experiments.small_world gradient
	@$(BIN)/python -m experiments.small_world report

demo: $(READY) ## Watch a small language model learn to follow rubrics
	@$(BIN)/rtt demo $(ARGS)

demo-compare: $(READY) ## The demo beside GRPO-AON, GRPO-CSR and GDPO, with the same budget and seeds
	@$(BIN)/rtt demo --compare $(ARGS)

demo-fast: $(READY) ## The demo with a tiny model, in two minutes
	@$(BIN)/rtt demo --fast $(ARGS)

discriminator: $(READY) ## Train the discriminator from what comes with the package, and print its table
	@$(BIN)/rtt discriminator build $(ARGS)

discriminator-fast: $(READY) ## The same with tiny backbones, in a minute
	@$(BIN)/rtt discriminator build --fast $(ARGS)

bench-relevance: $(READY) ## Joint against cross discriminator: time by criteria, sorting by length, average precision
	@$(BIN)/python benches/bench_relevance.py $(ARGS)

bench-judge: $(READY) ## The judge against a scripted server: throughput, cache, one call or many
	@$(BIN)/python benches/bench_judge.py $(ARGS)

bench-injections: $(READY) ## How often responses talk a judge into a yes; ARGS="--judge MODEL --base-url URL"
	@$(BIN)/python benches/bench_injections.py $(ARGS)

bench-credit: $(READY) ## Time and memory of credit assignment
	@$(BIN)/python benches/bench_credit.py $(ARGS)

bench-growth: $(READY) ## How the cost of token-level credit grows with G, K and T, beside the policy's own step
	@$(BIN)/python benches/bench_growth.py $(ARGS)

bench-step: $(READY) ## A training step of stock GRPO beside RTT with evidence and with a discriminator
	@$(BIN)/python benches/bench_step.py $(ARGS)

faults: $(READY) ## Kill, fill, damage and poison a small run; what it survives goes to docs/reliability.md
	@$(BIN)/python benches/bench_faults.py $(ARGS)

bench-evaluate: $(READY) build/official/.ready ## Scoring IFEval beside the official checkers, on the same responses
	@$(BIN)/python benches/bench_evaluate.py $(ARGS)

# The official checkers as lm-evaluation-harness carries them, and the sentence model that NLTK would download.
build/official/.ready:
	@$(PYTHON) -m venv --clear build/official
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/official/bin/python -m pip install --quiet \
	    'lm-eval[ifeval]==0.4.13' 'llama-index-core==0.14.*' 'nltk==3.9.1' 'langdetect==1.0.9'
	@touch $@

plant-defects: $(READY) ## Put known defects into the code, one at a time; each must turn a test red
	@$(BIN)/python tools/plant_defects.py $(ARGS)

RUN ?= runs/demo
picture: $(READY) build/chromium ## The README's picture of the inspector, from a run: RUN=runs/demo
	@$(BIN)/python tools/picture.py $(RUN) $(ARGS)

docs: $(READY) ## Build the documentation into build/site/
	@$(PIP) --editable '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: $(READY) ## Build the source distribution, and from it the wheel, into dist/
	@rm -rf dist
	@$(BIN)/python -m build

test-wheel: wheel ## Install the wheel into empty environments, and use it there
	@$(PYTHON) -m venv --clear build/wheel/bare build/wheel/train
	@$(call pip,build/wheel/bare/bin) dist/*.whl
	@$(call install_torch,$(call pip,build/wheel/train/bin))
	@$(call pip,build/wheel/train/bin) "$$(echo dist/*.whl)[train]"
	@$(BIN)/python -m pytest -q -m slow tests/test_wheel.py $(ARGS)

clean: ## Remove caches and builds
	@rm -rf build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean ## Remove .venv as well; runs/ and models/ stay
	@rm -rf .venv
