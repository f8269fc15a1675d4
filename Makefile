# The commands of the README. Nothing is needed beforehand but Python 3.11 or later, make and, for
# `make test`, the right to install Debian's packages (or those that .ci/debian-packages names).
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
SERVE ?= 1
VENV := .venv
PY := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup frontend passes demo worker test test-fast test-packages lint format bench clean

help:
	@echo "make demo            set up, fill the demo study, serve it on http://localhost:$(PORT)"
	@echo "make demo SERVE=0    the same without serving"
	@echo "make test            set up and run every test, browser and PostgreSQL included"
	@echo "make lint            style, types, import rules, licences"
	@echo "make bench           print the measured figures of the README"

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.txt $(VENV)/.made
	$(PY) -m pip install -q "$$(grep '^pip==' requirements.txt)"
	$(PY) -m pip install -q -r requirements.txt
	@touch $@

$(VENV)/.development: requirements-dev.txt requirements-postgres.txt requirements-hospital.txt $(VENV)/.runtime
	$(PY) -m pip install -q -r requirements-dev.txt -r requirements-postgres.txt -r requirements-hospital.txt
	@touch $@

static_build/.built: $(shell find frontend -type f -not -path '*/node_modules/*') | $(VENV)/.runtime
	$(PY) frontend/build.py
	@touch $@

frontend: static_build/.built

# A share of the denoiser is compiled for the processor it runs on, where there is a compiler. Asked
# every time: a folder may have been copied from another machine.
passes: $(VENV)/.runtime
	@$(PY) -m denoise_engine compile || echo "Going on without."

setup: $(VENV)/.runtime static_build/.built passes
	@$(PY) manage.py migrate -v0
	@$(PY) manage.py collectstatic --noinput -v0

demo: setup
ifeq ($(SERVE),0)
	@$(PY) manage.py demo --port $(PORT)
else
	@$(PY) manage.py demo --port $(PORT) --serve
endif

test-packages:
	@bash .ci/debian-packages

test: $(VENV)/.development static_build/.built test-packages
	@$(MAKE) --no-print-directory passes
	# Two at once: threads of their own would only wait for one another.
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.development
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) .ci/check_licences.py
	$(PY) .ci/check_torch.py
	$(PY) .ci/audit_dependencies.py
	$(PY) .ci/sbom.py

format: $(VENV)/.development
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: setup
	@for script in benchmarks/*.py; do echo "== $$script"; $(PY) $$script || exit 1; done

clean:
	rm -rf $(VENV) static_build var denoise_engine/ddlr/_build frontend/node_modules .mypy_cache .ruff_cache .pytest_cache
