# On a fresh machine with Python >= 3.11 and make: `make demo` or `make test` does all the set-up.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: setup demo check test lint types schema golden bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("tfopt needs Python 3.11 or newer") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/tfopt profile app:MobileNetV2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# Budgets of a network of keras.applications: what a project that uses tfopt has in its own CI.
check: setup
	$(BIN)/tfopt check --config configs/check-smoke.toml

# In the order of the folders: the long files, which run TensorFlow, come first, and no core waits for the other's last.
test: lint types check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

schema: setup
	$(BIN)/python -m tfopt.records.schema docs/schema

golden: setup
	TFOPT_UPDATE_GOLDEN=1 $(BIN)/python -m pytest tests/unit -k golden

bench: setup
	$(BIN)/python -m bench.step
	$(BIN)/python -m bench.overhead
	$(BIN)/python -m bench.reading
	$(BIN)/python -m bench.traces
	$(BIN)/python -m bench.input
	$(BIN)/python -m bench.cost
	$(BIN)/python -m bench.attribution
	$(BIN)/python -m bench.ablation
	$(BIN)/python -m bench.repeat
	$(BIN)/python -m bench.compare
	$(BIN)/python -m bench.duel
	$(BIN)/python -m bench.check
	$(BIN)/python -m bench.check --hidden
	$(BIN)/python -m bench.check --cost
	$(BIN)/python -m bench.roofline
	$(BIN)/python -m bench.kernels
	$(BIN)/python -m bench.advice
	$(BIN)/python -m bench.gradients
	$(BIN)/python -m bench.masking
	$(BIN)/python -m bench.influence
	$(BIN)/python -m bench.relevance
	$(BIN)/python -m bench.certificates
	$(BIN)/python -m bench.health
	$(BIN)/python -m bench.scores
	$(BIN)/python -m bench.digits
	$(BIN)/python -m bench.top_paths --zoo
	$(BIN)/python -m bench.interrupt
	$(BIN)/python -m bench.fuzz models
	$(BIN)/python -m bench.fuzz traces

clean:
	rm -rf $(VENV) build *.egg-info
