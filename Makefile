# SPDX-License-Identifier: GPL-3.0-or-later
# Every target makes sure of its tools first; nothing needs to be installed by hand but python3, make and git.

.DEFAULT_GOAL := help
# All that uses the mesh has it for itself.
ifndef SIDE_BY_SIDE
.NOTPARALLEL:
endif

PYTHON := .venv/bin/python
LAB := PYTHONPATH=tests/lab $(PYTHON) -m meshlab

MESHES ?= 300
POLICIES ?= 200
LANES ?= 4
SEED ?= 1

export PYTHONUNBUFFERED := 1
export MESHOPS_LAB_STATE ?= /var/tmp/meshops-lab

.PHONY: help demo test unit lint sanity lab-up lab-down lab-status lab-test lab-trace catalogue truth-table differential
.PHONY: policies faults faults-lab bench format docs venv

help:
	@echo "make demo        The main job, end to end, on a real mesh on this machine: diagnose, fix, prove (root)"
	@echo "make test        Every check below: unit, lint, sanity, lab-test"
	@echo "make unit        Unit tests, of the lab's Go sources too: a few minutes, no root"
	@echo "make lint        yamllint, ansible-lint, ruff, mypy, documentation, changelog, architecture laws, Go"
	@echo "make sanity      ansible-test sanity, without containers and without ignores"
	@echo "make lab-test    The scenarios, by molecule, on the mesh, a quarter of catalogue, differential and policies (each"
	@echo "                 commit another one), then the lab's own tests; takes the mesh down again (root)"
	@echo "                 SCENARIOS='a b' runs those; MESHOPS_LAB_KEEP=1 leaves the mesh running"
	@echo "make catalogue   Every rule and its look-alikes on the mesh, against Grafana's answer (root)"
	@echo "                 WORLDS='a b' judges those; LANES=4 at a time"
	@echo "make lab-trace   Kill each part of the lab in turn: it can be repaired, and leaves nothing behind (root)"
	@echo "make lab-up      Build what the lab lacks and start the mesh; says what to type next (root)"
	@echo "make lab-status  Say what of the lab runs"
	@echo "make lab-down    Stop the mesh and leave nothing behind (root)"
	@echo "make differential"
	@echo "                 Is the model of Istio right? Random meshes, compared with what Envoy is given (root)"
	@echo "                 MESHES=300 of them; SEED=n begins elsewhere"
	@echo "make policies    Do AuthorizationPolicies on HTTP and TCP ports do what we say? POLICIES=200 of them; SEED=n (root)"
	@echo "make truth-table Measure on the mesh what each change really does, and write docs/truth-table.md (root)"
	@echo "make faults      Every fault at every API call of a fix, its rehearsal, its way back and its proof: nothing lost,"
	@echo "                 left or untrue; ROW=kill tries those whose name contains that"
	@echo "make faults-lab  The same on the mesh's own API server, behind a proxy that harms requests; an hour (root)"
	@echo "                 PLAY=verified strikes those whose name contains that"
	@echo "make example     Take the snapshot that ships in docs/examples anew from the mesh (root)"
	@echo "make bench       What a diagnosis costs, as ratios to what one would use instead"
	@echo "make format      Let ruff and gofmt rewrite the sources"
	@echo "make docs        Write the page of every rule anew from the rule's own file"

venv:
	@sh tests/tools/bootstrap.sh

unit: venv
	@$(PYTHON) tests/tools/unit.py

lint: venv
	@$(PYTHON) tests/tools/lint.py

sanity: venv
	@$(PYTHON) tests/tools/sanity.py

lab-up: venv
	@$(LAB) build
	@$(LAB) up

lab-down: venv
	@$(LAB) down

lab-status: venv
	@$(LAB) status

lab-test: venv
	@$(PYTHON) tests/tools/lab_test.py $(SCENARIOS)

example: lab-up
	@$(PYTHON) tests/tools/example.py

truth-table: lab-up
	@$(PYTHON) tests/tools/lab_program.py catalogue table

demo: lab-up
	@$(PYTHON) tests/tools/demo.py

# Linters and sanity work on one core each.
test:
	@echo "== unit, lint and sanity, side by side: each is shown whole once it is done, the first after some minutes"
	@$(MAKE) --no-print-directory SIDE_BY_SIDE=1 --jobs=3 --output-sync=target --keep-going unit lint sanity
	@$(MAKE) --no-print-directory lab-test
	@echo "== make test: every check passed"

differential: lab-up
	@$(PYTHON) tests/tools/lab_program.py differential --meshes $(MESHES) --seed $(SEED)

policies: lab-up
	@$(PYTHON) tests/tools/lab_program.py policies --policies $(POLICIES) --seed $(SEED)

catalogue: lab-up
	@$(PYTHON) tests/tools/lab_program.py catalogue judge --lanes $(LANES) $(WORLDS)

lab-trace: venv
	@$(LAB) build
	@PYTHONPATH=tests/lab $(PYTHON) -m pytest -q tests/lab/test_leaves_no_trace.py

faults: venv
	@$(PYTHON) tests/tools/faults.py --row "$(ROW)"

faults-lab: lab-up
	@$(PYTHON) tests/tools/lab_program.py faults --row "$(ROW)" --play "$(PLAY)"

bench: venv
	@$(PYTHON) tests/tools/bench.py

format: venv
	@$(PYTHON) -m ruff check --fix-only --quiet .
	@$(PYTHON) -m ruff format .
	@if command -v gofmt >/dev/null; then gofmt -w tests/lab; fi

docs: venv
	@$(PYTHON) tests/tools/rule_docs.py --write
