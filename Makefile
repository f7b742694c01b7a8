# The whole workflow. `make` alone lists the targets.
# GNU make redoes a step only when one of the files it stands on is newer than its result, so every
# target may be repeated: nothing is installed, run or checked twice without a reason.

PYTHON ?= python3
VENV ?= .venv
# Tests and notebooks at a time, each on one thread.
JOBS ?= 2
BIN := $(VENV)/bin
ENVIRONMENT := $(VENV)/.link-installed

BUILD := _build
DONE := $(BUILD)/done
PAGES := $(BUILD)/html
STRICT := $(BUILD)/strict

NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
EXECUTED := $(NOTEBOOKS:notebooks/%=$(BUILD)/notebooks/%)
PACKAGE := $(sort $(shell find link -type f -not -name '*.pyc'))
# What notebooks, and tests, import from beside them, and the results that they read.
HELPERS := $(sort $(wildcard notebooks/[a-z]*.py notebooks/results/*.json))
TESTS := $(sort $(shell find tests -name '*.py'))
PROSE := _config.yml _toc.yml CITATION.cff $(sort $(shell find book -type f -not -name '*.pyc'))
TRACKED := $(sort $(wildcard $(shell git ls-files --cached --others --exclude-standard 2>/dev/null)))

# Notebooks run on this environment's kernel and draw inline, whatever the caller's shell says.
export JUPYTER_PREFER_ENV_PATH := 1
unexport MPLBACKEND PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book test bench bench-gpu experiments install lint unit-tests project-checks sync-check \
	sync pages notebooks outputs lab clean clean-all FORCE

help:
	@echo "make book        install, run every notebook, build the book"
	@echo "make test        install, then lint, unit tests, notebooks against their outputs, strict book"
	@echo "make bench       time the package against the published procedure, some minutes"
	@echo "make bench-gpu   time training and the ablation at full size on a GPU"
	@echo "make experiments run the longer experiments whose results the chapters show"
	@echo
	@echo "make install     only the environment, in $(VENV)"
	@echo "make lint        only ruff"
	@echo "make unit-tests  only the tests of the package"
	@echo "make sync        bring every notebook and its paired .py to the same text"
	@echo "make sync-check  fail if a notebook and its paired .py differ"
	@echo "make outputs     run every notebook and store its outputs in notebooks/"
	@echo "make lab         open the notebooks in JupyterLab"
	@echo "make clean       remove what was built; make clean-all the environment as well"
	@echo
	@echo "PYTHON=python3.12 names the interpreter; VENV=\$$CONDA_PREFIX uses an active conda environment."


# ---- the environment ----

install: $(ENVIRONMENT)

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "There is no \`$(PYTHON)\` here. Install Python 3.11 or 3.12," \
			"or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || { \
		echo "This project runs on Python 3.11 and 3.12, and \`$(PYTHON)\` is" \
			"$$("$(PYTHON)" --version 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; \
		exit 1; }
	@echo "making a virtual environment in $(VENV)"
	@"$(PYTHON)" -m venv "$(VENV)" || { rm -rf "$(VENV)"; exit 1; }

$(ENVIRONMENT): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what constraints.txt pins (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[encoders,dev]'
	@touch $@

# What a result stands on beside file contents: which modules there are, and the data set asked for.
$(BUILD)/inputs: FORCE
	@mkdir -p $(@D)
	@echo "$(LINK_DATASET) $(PACKAGE)" > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

CODE := $(PACKAGE) $(HELPERS) $(ENVIRONMENT) $(BUILD)/inputs


# ---- the book ----

# Seconds a cell may take. On real data cells train networks of full size, for as long as it takes.
CELL_LIMIT := $(if $(LINK_DATASET),-1,900)

book: $(ENVIRONMENT) $(BUILD)/inputs
	@$(MAKE) --no-print-directory --jobs $(JOBS) $(DONE)/book
	@echo "The book is built. Open file://$(CURDIR)/$(PAGES)/index.html"

$(BUILD)/notebooks/%.ipynb: notebooks/%.ipynb $(CODE)
	@echo "running $<"
	@$(BIN)/python -m nbconvert --to notebook --execute --log-level WARN \
		--ExecutePreprocessor.kernel_name=python3 --ExecutePreprocessor.timeout=$(CELL_LIMIT) \
		--ExecutePreprocessor.record_timing=False \
		--ExecutePreprocessor.extra_arguments=--log-level=ERROR --output-dir $(@D) $<

# The pages come from the notebooks as they ran here, not from the outputs stored beside the code.
$(DONE)/book: $(EXECUTED) $(PROSE)
	@rm -rf $(BUILD)/source && mkdir -p $(BUILD)/source/notebooks $(@D)
	@cp -Rp _config.yml _toc.yml CITATION.cff book $(BUILD)/source
	@$(if $(EXECUTED),cp -p $(EXECUTED) $(BUILD)/source/notebooks)
	@$(BIN)/jupyter-book build --quiet --path-output . $(BUILD)/source > /dev/null
	@touch $@


# ---- the checks ----

test: lint $(DONE)/unit-tests $(DONE)/project-checks $(DONE)/pages $(DONE)/notebooks
	@echo "make test: lint, unit tests, project checks, strict book and notebooks all passed," \
		"now or since they last changed."

lint: $(ENVIRONMENT)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

unit-tests: $(DONE)/unit-tests
$(DONE)/unit-tests: $(CODE) $(TESTS)
	@echo "unit tests"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) \
		tests --ignore tests/book --ignore tests/test_project.py
	@mkdir -p $(@D) && touch $@

project-checks: $(DONE)/project-checks
$(DONE)/project-checks: $(CODE) $(TRACKED)
	@echo "project checks"
	@$(BIN)/python -m pytest tests/test_project.py
	@mkdir -p $(@D) && touch $@

# Always from nothing: Sphinx would not repeat the warnings of pages it has already read.
pages: $(DONE)/pages
$(DONE)/pages: $(NOTEBOOKS) $(PROSE) $(PACKAGE) $(wildcard tests/book/*.py) $(ENVIRONMENT)
	@echo "the book, with warnings as errors"
	@rm -rf $(STRICT)
	@$(BIN)/jupyter-book build --quiet --warningiserror --keep-going --path-output $(STRICT) . \
		> /dev/null
	@$(BIN)/python -m pytest tests/book
	@mkdir -p $(@D) && touch $@

# After a change to the code every notebook is compared again, otherwise only those that changed.
notebooks: $(DONE)/notebooks
$(DONE)/notebooks: $(NOTEBOOKS) $(CODE)
	@echo "notebooks against their stored outputs"
	@env -u LINK_DATASET $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile \
		--nbval --nbval-current-env --durations 10 \
		$(if $(filter-out %.ipynb,$?),$(NOTEBOOKS),$(filter %.ipynb,$?))
	@mkdir -p $(@D) && touch $@


# ---- speed ----

# bench-gpu is for full-size training on a GPU; bench DEVICE=cuda times the rest there.
DEVICE ?= cpu
bench: $(ENVIRONMENT)
	@$(BIN)/python tests/benchmarks/bench.py --device $(DEVICE)

bench-gpu: $(ENVIRONMENT)
	@$(BIN)/python tests/benchmarks/gpu.py


# ---- the longer experiments ----

# Chapters show what this stores in notebooks/results. Up to an hour on two cores.
experiments: $(ENVIRONMENT)
	@$(BIN)/python notebooks/experiments.py --jobs $(JOBS)


# ---- working on the notebooks ----

sync: $(ENVIRONMENT)
	@$(BIN)/jupytext --quiet --sync notebooks/*.ipynb

sync-check: $(ENVIRONMENT)
	@$(BIN)/python -m pytest --quiet tests/test_project.py -k pair

outputs: $(EXECUTED)
	@cp $(EXECUTED) notebooks/

lab: $(ENVIRONMENT)
	@$(BIN)/jupyter lab --notebook-dir notebooks

clean:
	@rm -rf $(BUILD) .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find book link tests notebooks -name __pycache__ -exec rm -rf {} +

clean-all: clean
	@rm -rf .venv
