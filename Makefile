# rpmu: every job by one word. `make help` lists them.
# The virtual environment, the emulator and (where that is allowed) the system packages are set up on the way.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
FOR    ?=
SOURCE ?= grid
LISTEN ?= 127.0.0.1:4712
PYTEST ?=
CORPUS := tests/data/c37118/corpus

export MIRROR
export SECURITY_MIRROR
export SUITES
export GUEST
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup emulator run test lint unit firmware oracle conformance simulation bench bench-target time soak deb image image-lock test-target fuzz format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@scripts/make-venv $(PYTHON) $(VENV)

$(VENV)/stamp: pyproject.toml hatch_build.py | $(BIN)/python
	@echo "== installing rpmu and what it needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --editable '.[twin,design,completion,record,dev]'
	@touch $@

rpmu/twin/_emulator.so: $(wildcard rpmu/twin/emulator/*.c rpmu/twin/emulator/*.h) hatch_build.py | $(BIN)/python
	@$(BIN)/python hatch_build.py

emulator: rpmu/twin/_emulator.so

setup: $(VENV)/stamp emulator ## virtual environment and emulator, without running anything

run: setup ## the whole PMU on the digital twin: PDCs connect to 127.0.0.1:4712 (FOR=20 ends it, SOURCE=nominal …)
	@scripts/foreground $(BIN)/rpmu twin --source '$(SOURCE)' --listen '$(LISTEN)' $(if $(FOR),--for $(FOR))

test: setup lint ## every test that needs no board, and lint before them (PYTEST='-k name' narrows)
	@scripts/system-packages
	@scripts/unpacked-package openssh-server libwrap0
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST)

lint: setup ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## ruff's formatter and safe fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

firmware: setup ## build the PRU image with Debian's binutils-source, compare with the committed one, print the timing
	@$(MAKE) --no-print-directory -C pru PYTHON=../$(BIN)/python

hardware: setup ## profiles (ngspice), schematics and exports (KiCad 9), tables and drawings of docs/hardware.md
	@scripts/system-packages ngspice
	@$(BIN)/python -m hardware.tools.derive_profiles
	@$(BIN)/python -m hardware.tools.pages
	@scripts/export-schematic $(BIN)/python

oracle: setup ## build the GNU PRU simulator and compare fresh random programs with our emulator
	@scripts/build-oracle
	@$(BIN)/python -m pytest tests/pru -k oracle $(PYTEST)

# One thread per process: the small matrix products here only wait for each other on several.
conformance: setup ## the estimator against every limit of 60255-118-1: table, JSON, docs/conformance.md (QUICK=1: a few cases; KEEP=DIR: go on after an interruption)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.conformance $(if $(QUICK),--quick,--dense --peers annex-c,ipdft,twls) \
	    $(if $(KEEP),--keep '$(KEEP)') --json build/conformance.json --markdown $(if $(QUICK),build,docs)/conformance.md

simulation: setup ## every numbered scenario on the whole twin, the long ones too: docs/time-scenarios.md (SCENARIO=65 narrows)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.simulation $(SCENARIO) --markdown docs/time-scenarios.md

bench: setup ## ratios against peers or bounds in the same run
	@$(BIN)/python -m benchmarks

bench-target: setup ## instructions per report on the board, counted in qemu-arm, against the record and the goals (RECORD=1 renews it)
	@scripts/system-packages qemu-user gcc
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.target $(if $(RECORD),--record)

time: setup ## the locked clock for 30 simulated minutes (or FOR=...) a case: both PPS inputs, crystals that make the edge stand still
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.timing.study --minutes $(or $(FOR),30)

soak: setup ## server, splitter and concentrator for 30 minutes under random clients (FOR=... seconds); ends with 1 on any loss
	@$(BIN)/python -m tests.serve.soak --for $(or $(FOR),1800)

deb: setup ## the Debian package of the daemon, dist/rpmu_VERSION_all.deb (SIGN=KEYFILE signs it for `rpmu update`)
	@$(BIN)/python debian/build_deb.py dist $(if $(SIGN),--sign '$(SIGN)')

image: setup ## SD-card image for the board, dist/rpmu.img (root; MIRROR=http://... names another Debian archive)
	@scripts/system-packages $$($(BIN)/python -m image tools)
	@$(BIN)/python -m image card dist

test-target: setup ## the image booted in qemu-system-arm, fed by the twin, through a board's life (root on Debian, else skipped)
	@scripts/test-target $(BIN)/python $(PYTEST)

image-lock: setup ## renew image/packages.lock with the newest Debian packages (SUITES=trixie: without later updates)
	@$(BIN)/python -m image lock

fuzz: setup ## fuzz the C37.118 codec for 60 s (or FOR=...); what reaches new code joins the corpus that tests replay
	@$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	@mkdir -p .cache/fuzz/c37118
	@$(BIN)/python tests/c37118/fuzzing.py -max_total_time=$(or $(FOR),60) -max_len=1024 -print_final_stats=1 \
	    -artifact_prefix=$(CORPUS)/ .cache/fuzz/c37118 $(CORPUS)
	@$(BIN)/python tests/c37118/fuzzing.py -merge=1 $(CORPUS) .cache/fuzz/c37118

clean: ## remove what was built (not the caches in .cache)
	@rm -rf $(VENV) build dist rpmu/twin/_emulator.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
