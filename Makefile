# Everything a developer types. Needs Python 3.11 or newer with venv, and make; the rest is installed into $(VENV).

VENV   ?= .venv
PYTHON ?= python3
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check --quiet
PYTEST := $(PY) -m pytest
SHELL  := /bin/sh

.DEFAULT_GOAL := help
.PHONY: help run test test-system test-vm test-arm soak bench check format audit deb clean

help:
	@echo "make run          a demo plant, a broker and the gateway, with live values (Ctrl-C ends it)"
	@echo "make test         checks and all tests that need no root, at most 12 minutes on 2 cores"
	@echo "make test-system  tests that need root or a minute each: file systems, namespaces, systemd, foreign peers"
	@echo "make test-vm      real bluetoothd in a virtual machine, a minute or two (apt install qemu-system-x86 bluez kmod)"
	@echo "make test-arm     the core's tests on aarch64 under emulation, then an arm64 machine that is booted, installed on and"
	@echo "                  updated; about an hour, nightly (root; apt install mmdebstrap qemu-user-static qemu-system-arm)"
	@echo "make soak         full-length fault tests (hours); FIELDPOST_SEED=n repeats one run"
	@echo "make bench        measures every budget beside a bare polling loop"
	@echo "make check        format, lint, types, import contract"
	@echo "make deb          a Debian package in dist/; MACHINE=aarch64 for another machine"
	@echo "make audit        asks PyPI for known vulnerabilities of what releases are made of"

# One environment, two stamps: what the demo needs, and what the tests need on top.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "missing: venv; install it with: apt install python3-venv"; exit 1; }

$(VENV)/.run: setup.cfg pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV)"
	@$(PIP) install -e '.[modbus,uvloop,demo]'
	@touch $@

$(VENV)/.dev: setup.cfg pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV)"
	@$(PIP) install -e '.[dev,modbus,opcua,uvloop,demo]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run
	@exec $(VENV)/bin/fieldpost demo

check: $(VENV)/.dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.dev
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# Three workers on two cores: most of the time is spent waiting, but some tests count what a busy machine would miss.
test: check
	$(PYTEST) -n 3 --dist worksteal -m "not system and not engines and not soak and not arm and not long and not vm" tests

tests/peers/node_modules: tests/peers/package-lock.json
	npm ci --no-audit --no-fund --prefix tests/peers
	@touch $@

test-system: $(VENV)/.dev $(if $(wildcard tests/peers/package-lock.json),tests/peers/node_modules)
	$(PYTEST) -n 3 --dist loadfile -m "system or engines" tests
	$(PYTEST) -n 3 --dist worksteal -m long tests/e2e/long

# A guest with a kernel of its own: apt install qemu-system-x86 bluez kmod; the guest is made once, 410 MB in .vm-guest.
test-vm: $(VENV)/.dev
	@$(PIP) install -e '.[vm]'
	$(PYTEST) -s -m vm tests/vm

test-arm: $(VENV)/.dev
	PY=$(CURDIR)/$(PY) tests/arm/arm64.sh $(ARM_ROOT)
	FIELDPOST_SLOW=5 $(PYTEST) -s -rs -m arm tests/arm

soak: $(VENV)/.dev
	FIELDPOST_SOAK=1 $(PYTEST) -m "e2e or long or soak" tests/e2e tests/soak

bench: $(VENV)/.dev
	$(PY) -m benchmarks

# A library that could not be asked about counts as a failure.
deb: $(VENV)/.dev
	PY=$(CURDIR)/$(PY) packaging/debian/build.sh dist $(MACHINE)

audit: $(VENV)/.dev
	@$(PIP) install 'pip-audit>=2.9,<3'
	@set -e; for lock in packaging/locks/*.txt; do echo $$lock; \
	    $(VENV)/bin/pip-audit --strict --disable-pip --no-deps --require-hashes -r $$lock; done

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
