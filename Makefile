# medgan. `make run` is all a new user needs: Python 3.11 to 3.13, and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$name; break; }; done)
TORCH ?=
ARGS ?=
RUNS ?=
DATASET ?=
SEEDS ?=
ONLY ?=
SOURCE ?=
COMMA := ,
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed$(TORCH)
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
NOTEBOOKS = $(wildcard notebooks/*.ipynb)

export DO_NOT_TRACK := 1
export KEDRO_DISABLE_TELEMETRY := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install run test soak check format lock viz viz-static mlflow app compare reproduce results

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

install: $(STAMP) ## Make .venv and install the locked packages; TORCH=cpu takes the small CPU build of torch, which is not locked by hash.

run: $(STAMP) ## Run all pipelines on the embedded data; ARGS="--env chest_xray --params source=PATH" for others.
	$(BIN)/kedro run $(ARGS)

test: $(STAMP) ## Run the tests.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

soak: $(STAMP) ## Read 100,000 damaged image files; fail for anything but a refusal, over 5 seconds, or 2 GB.
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python -m tests.faults.soak $(ARGS)

check: $(STAMP) ## Style, types, import walls, notebooks without output.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(NOTEBOOKS),$(BIN)/nbstripout --verify $(NOTEBOOKS))

format: $(STAMP) ## Format the code, and fix what can be fixed.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(if $(NOTEBOOKS),$(BIN)/nbstripout $(NOTEBOOKS))

lock: $(STAMP) ## Resolve requirements.lock anew from pyproject.toml.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" pyproject.toml --extra dev --output-file requirements.lock

viz: $(STAMP) ## The data flow in kedro-viz, on this machine only.
	$(BIN)/kedro viz run --host 127.0.0.1 --no-browser $(ARGS)

viz-static: $(STAMP) ## The data flow as a web site in build/, which needs no server of its own.
	rm -rf build
	$(BIN)/kedro viz build $(ARGS)

mlflow: $(STAMP) ## Curves and runs in the MLflow UI, on this machine only.
	$(BIN)/mlflow ui --host 127.0.0.1 --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" $(ARGS)

app: $(STAMP) ## The Streamlit page, on this machine only.
	$(BIN)/streamlit run src/medgan/app/main.py --server.address 127.0.0.1 --server.headless true --server.enableXsrfProtection true \
		--server.maxUploadSize 20 --browser.gatherUsageStats false --client.showErrorDetails none --client.toolbarMode viewer $(ARGS)

compare: $(STAMP) ## Two runs side by side: RUNS=a,b as MLflow ids, starts, names, latest, previous, or results.json files. Without RUNS, a list.
	$(BIN)/medgan compare $(subst $(COMMA), ,$(RUNS)) $(ARGS)

reproduce: $(STAMP) ## Make the records of conf/experiments.yml that are missing: DATASET=pneumoniamnist SOURCE=PATH SEEDS=0,1,2 ONLY=rows.
	$(BIN)/medgan reproduce "$(DATASET)" $(if $(SOURCE),--source "$(SOURCE)") $(if $(SEEDS),--seeds "$(SEEDS)") $(if $(ONLY),--only "$(ONLY)") $(ARGS)

results: $(STAMP) ## Put the records together: docs/results.md and docs/results/.
	$(BIN)/medgan collect

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "medgan needs Python 3.11, 3.12 or 3.13: install one, or say where it is with make PYTHON=PATH." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	$(if $(TORCH),$(UV) --torch-backend=$(TORCH) --no-verify-hashes --constraint requirements.lock --requirement pyproject.toml --extra dev,\
		$(UV) --require-hashes --requirement requirements.lock)
	$(UV) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed*
	@touch $@
