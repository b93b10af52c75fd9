# Everything runs in .venv, made from hash-pinned requirements; Python 3.11 or later and make are all it takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo life test drill container test-long lint bench gate zoo examples docs pictures coverage requirements clean

demo: $(VENV)/.ready
	$(BIN)/model-preflight validate examples/trading/model.pkl

life: $(VENV)/.ready
	$(BIN)/python examples/life/life.py life

# Workers write no bytecode, and would compile anew, in each, what the command itself never imports.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.ready
	$(BIN)/python -m compileall -q validator
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long and not drill and not container"

drill: $(VENV)/.ready
	$(BIN)/python -m pytest -m drill tests/rollout tests/registry tests/unit/integration tests/unit/rollout/test_examples.py tests/unit/monitoring/test_rules.py tests/monitoring
	FORBID_SKIPS=1 $(BIN)/python -m pytest -m "not long" tests/unit/monitoring

# The images, and what runs from them; needs a Docker engine with Compose, and docker-registry.
container: $(VENV)/.ready
	FORBID_SKIPS=1 $(BIN)/python -m pytest -m container tests/container

test-long: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(WORKERS) -m "not drill and not container" --timeout 3600 --hypothesis-profile explore

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# All of them, or those that are named as well: make bench gate.
bench: $(VENV)/.ready
	$(BIN)/python -m benchmarks $(filter-out bench,$(MAKECMDGOALS))

gate: bench

zoo: $(VENV)/.ready
	$(BIN)/python -m tests.zoo

docs: $(VENV)-docs/.ready
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --quiet --strict --site-dir site

# What the documentation shows, from the pages that `make life` wrote; needs Chromium.
pictures: $(VENV)/.ready
	$(BIN)/python docs/pictures.py life

coverage: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long and not container" --cov --cov-report=term:skip-covered tests/unit tests/contract tests/golden

examples: $(VENV)/.ready
	$(BIN)/python examples/trading/train.py
	$(BIN)/python examples/diagnosis/train.py

# Pins anew; needs uv.
requirements:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		requirements/runtime.in -o requirements/runtime.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements/runtime.txt requirements/serve.in -o requirements/serve.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements/runtime.txt requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		requirements/docs.in -o requirements/docs.txt

clean:
	rm -rf $(VENV) $(VENV)-docs site preflight life .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)-docs/.ready: requirements/docs.txt
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	touch $@
