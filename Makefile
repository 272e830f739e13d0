# The same words that CI calls and people type.
# Any Python 3.11 or 3.12 that really runs will do (a version manager's shim may exist and refuse); or: make PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.12 python3.11 python3; do \
	if $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1; then echo $$python; break; fi; done)
BIN := .venv/bin
# Two threads on small arrays beside a busy neighbour are several times slower than one.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# A file's tests stay in one process, for they share what is expensive to make; 2 GB a worker.
TEST_WORKERS ?= 2

.PHONY: setup run test timed check smoke golden bench odd expert gpu size
.DEFAULT_GOAL := run

setup: .venv/.stamp

# pip's own settings (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, …) decide where packages come from.
.venv/.stamp: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "motorworks needs Python 3.11 or 3.12 with venv; none was found. Try: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[factory,data,dev,worlds,sumo]'
	$(BIN)/python -m motorworks.sim.compile
	@touch $@

run: setup
	$(BIN)/motorworks run tiny --workers 2

test: setup
	$(ONE_THREAD) $(BIN)/python -m pytest -m 'not gpu and not timed' -n $(TEST_WORKERS) --dist loadfile

timed: setup
	$(ONE_THREAD) $(BIN)/python -m pytest -m timed

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

smoke: setup
	$(ONE_THREAD) $(BIN)/python -m pytest -m smoke

golden: setup
	MOTORWORKS_GOLDEN=refresh $(ONE_THREAD) $(BIN)/python -m pytest -k golden

bench: setup
	$(BIN)/python -m bench

odd: setup
	$(ONE_THREAD) $(BIN)/python -m motorworks.factory.odd

expert: setup
	$(ONE_THREAD) $(BIN)/python -m motorworks.factory.expert_exam

gpu: setup
	$(BIN)/python -m pytest -m gpu

size:
	@for room in motorworks/*/ recipes/ bench/ tests/; do \
		test -d $$room && find $$room -name '*.py' -exec cat {} + | awk -v room=$$room '{ n++ } END { printf "%6d  %s\n", n, room }'; done; \
	find motorworks recipes -name '*.py' -exec cat {} + | awk 'END { printf "%6d  all\n", NR }'
