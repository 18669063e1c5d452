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
PEERS := build/peers/.installed
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
NOTEBOOKS = $(wildcard notebooks/*.ipynb)

export DO_NOT_TRACK := 1
export KEDRO_DISABLE_TELEMETRY := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install run test coverage test-long test-browser test-ray soak soak-guided campaign kills mutants bench bench-gpu check format lock audit sbom viz viz-static mlflow app gallery docs compare reproduce results

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

install: $(STAMP) ## Make .venv and install the locked packages; TORCH=cpu takes the small CPU build of torch, which is not locked by hash.

run: $(STAMP) ## Run all pipelines on the embedded data; ARGS="--env chest_xray --params source=PATH" for others.
	$(BIN)/python -m medgan $(ARGS)

test: $(STAMP) ## Run the tests.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

coverage: $(STAMP) ## Run the tests, and print the coverage of lines and branches (without what runs in other processes).
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report= $(ARGS)
	$(BIN)/coverage report | sed -n '1p;$$p'

test-long: $(STAMP) ## Run the tests that `make test` leaves out: whole runs, servers and outages.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long $(ARGS)

test-browser: $(STAMP) ## Try the app in an installed Chromium (Debian: apt install chromium), axe-core included; screenshots are kept in build/browser/.
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --target build/axe axe-playwright-python==0.1.8
	OMP_NUM_THREADS=1 PYTHONPATH=build/axe $(BIN)/python -m pytest -m browser $(ARGS)

test-ray: $(STAMP) ## Run the tests on a Ray cluster of this machine.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target build/ray "ray>=2.50"
	OMP_NUM_THREADS=1 PYTHONPATH=build/ray $(BIN)/python -m pytest -m "long or not long" tests/project/test_ray_runner.py $(ARGS)

soak: $(STAMP) ## Read 100,000 damaged image files; fail for anything but a refusal, over 5 seconds, or 2 GB.
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python -m tests.faults.soak $(ARGS)

soak-guided: $(STAMP) ## Read DICOM and NIfTI inputs that a coverage-guided fuzzer (atheris) invents; ARGS="-runs=200000".
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target build/atheris atheris==3.0.0
	OMP_NUM_THREADS=1 PYTHONPATH=.:build/atheris $(BIN)/python -m tests.faults.guided $(ARGS)

campaign: $(STAMP) ## Damage what a run leaves, and let the disk fail at every write; fail for silence or a traceback.
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python -m tests.faults.campaign $(ARGS)

kills: $(STAMP) ## Kill 200 trainings and 50 starts at random moments; fail unless all end as if nobody had.
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python -m tests.faults.kills $(ARGS)

mutants: $(STAMP) ## Change the code of splits, leakage audit and statistics in 2,800 small ways, and list those that no test notices.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target build/mutmut mutmut==3.8.1
	OMP_NUM_THREADS=1 PYTHONPATH=build/mutmut $(BIN)/python -m mutmut run $(ARGS)
	PYTHONPATH=build/mutmut $(BIN)/python -m mutmut results

bench: $(PEERS) ## Measure speed against other packages and plain loops, and write the tables of docs/performance.md; ARGS="fid kid --quick".
	TQDM_DISABLE=1 $(BIN)/python -m benchmarks $(ARGS)

bench-gpu: $(STAMP) ## Measure training on the accelerator, or on a CPU at toy size (ARGS=--toy): images/s, TFLOP/s and the share of the roof.
	$(BIN)/python -m benchmarks.gpu $(ARGS)

check: $(STAMP) ## Style, types, import walls, notebooks without output, and the pages of the documentation.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(NOTEBOOKS),$(BIN)/nbstripout --verify $(NOTEBOOKS))
	$(BIN)/zensical build --strict

format: $(STAMP) ## Format the code, and fix what can be fixed.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(if $(NOTEBOOKS),$(BIN)/nbstripout $(NOTEBOOKS))

lock: $(STAMP) ## Resolve requirements.lock anew from pyproject.toml.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" pyproject.toml --extra dev --output-file requirements.lock

audit: $(STAMP) ## Compare the locked packages with known flaws; fail where one was skipped or the database cannot be reached.
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock --progress-spinner off $(ARGS)

sbom: $(STAMP) ## Write build/sbom.json: the installed packages with versions and licenses (CycloneDX).
	mkdir -p build
	$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py environment --output-file build/sbom.json $(ARGS) $(BIN)/python

viz: $(STAMP) ## The data flow in kedro-viz, on this machine only.
	$(BIN)/python -m medgan.cli.viz run --host 127.0.0.1 --no-browser $(ARGS)

viz-static: $(STAMP) ## The data flow as a web site in build/, which needs no server of its own.
	rm -rf build
	$(BIN)/python -m medgan.cli.viz build $(ARGS)

mlflow: $(STAMP) ## Curves and runs in the MLflow UI, on this machine only.
	$(BIN)/medgan tracking open
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --host 127.0.0.1 --workers 1 --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" $(ARGS)

app: $(STAMP) ## The Streamlit page, on this machine only.
	$(BIN)/python -m medgan.app --server.address 127.0.0.1 $(ARGS)

gallery: $(STAMP) ## Run the notebooks on the newest run of the embedded data, and write docs/notebooks/ and docs/cards/ anew; takes an installed Chromium.
	$(BIN)/python -m notebooks.gallery

docs: $(STAMP) ## The documentation as a web site in build/site, which opens from the disk; fails for a link that leads nowhere.
	$(BIN)/zensical build --clean --strict

compare: $(STAMP) ## Two runs side by side: RUNS=a,b as MLflow ids, starts, names, latest, previous, or results.json files. Without RUNS, a list.
	$(BIN)/medgan compare $(subst $(COMMA), ,$(RUNS)) $(ARGS)

reproduce: $(STAMP) ## Make the records of conf/experiments.yml that are missing: DATASET=pneumoniamnist SOURCE=PATH SEEDS=0,1,2 ONLY=rows.
	$(BIN)/medgan reproduce "$(DATASET)" $(if $(SOURCE),--source "$(SOURCE)") $(if $(SEEDS),--seeds "$(SEEDS)") $(if $(ONLY),--only "$(ONLY)") $(ARGS)

results: $(STAMP) ## Put the records together: docs/results.md and docs/results/.
	$(BIN)/medgan collect

$(PEERS): benchmarks/peers.txt $(STAMP)
	for peer in $$(grep '^[a-z]' $<); do \
		$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --target build/peers "$$peer" || echo "$$peer cannot be installed: its lines will say so" >&2; \
	done
	@touch $@

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "medgan needs Python 3.11, 3.12 or 3.13: install one, or say where it is with make PYTHON=PATH." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement <(sed -n '/^uv==/,/[^\\]$$/p' requirements.lock)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	$(if $(TORCH),$(UV) --torch-backend=$(TORCH) --no-verify-hashes --constraint requirements.lock --requirement pyproject.toml --extra dev,\
		$(UV) --require-hashes --requirement requirements.lock)
	$(UV) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed*
	@touch $@
