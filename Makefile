# One command a chore; each makes its own environment in .venv first. Run twice, nothing is fetched or built again.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin

.PHONY: help demo demo-voice test check model ears pictures install-check arm64-check deb-check deb clean

help:
	@echo "make demo    a home in software, commands in, devices moved, replies out; then type your own"
	@echo "make demo-voice  the same, its script said aloud by a synthetic voice and heard (needs espeak-ng)"
	@echo "make test    the tests, with a real broker and the shipped model"
	@echo "make check   format, lint, types, and which part may import which"
	@echo "make pictures  the pictures of the terminal in docs/ again, from real runs"
	@echo "make install-check  install into a fresh Debian, set up, take away again (root, debootstrap, some minutes)"
	@echo "make arm64-check    the same for 64-bit ARM under QEMU, as far as to what sentences mean (root, half an hour)"
	@echo "make deb     a Debian package for machines such as this; make deb-check tries it in a fresh Debian (root)"
	@echo "make model   train the shipped model again from nothing (about 110 minutes on two cores)"
	@echo "make ears    small ears for hub demo --voice, trained on synthetic speech (about an hour and a quarter on two cores)"

.venv/run.stamp: pyproject.toml deploy/environment.sh
	@bash deploy/environment.sh "$(PYTHON)" demo
	@touch $@

.venv/voice.stamp: pyproject.toml deploy/environment.sh
	@bash deploy/environment.sh "$(PYTHON)" demo,voice
	@touch $@ .venv/run.stamp

.venv/test.stamp: pyproject.toml deploy/environment.sh
	@bash deploy/environment.sh "$(PYTHON)" demo,dev,voice,wyoming
	@touch $@ .venv/run.stamp .venv/voice.stamp

# torch is large: only what trains the model, and what checks the types of that, waits for it.
.venv/train.stamp: pyproject.toml deploy/environment.sh
	@bash deploy/environment.sh "$(PYTHON)" demo,dev,voice,wyoming,train,forms
	@touch $@ .venv/test.stamp .venv/run.stamp .venv/voice.stamp

demo: .venv/run.stamp
	@$(BIN)/hub demo

demo-voice: .venv/voice.stamp
	@$(BIN)/hub demo --voice

test: .venv/test.stamp
	@bash deploy/need_mosquitto.sh
	@$(BIN)/python -m pytest -q

check: .venv/train.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two fifths faster: threads spin while they wait for each other, and jemalloc, where Debian's libjemalloc2 is there, finds
# room for batches of ever new shapes, for which glibc 2.36 searches long.
SPIN := OMP_WAIT_POLICY=ACTIVE GOMP_SPINCOUNT=infinity
JEMALLOC := $(addprefix LD_PRELOAD=,$(firstword $(wildcard /usr/lib/*/libjemalloc.so.2))) MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1

model: .venv/train.stamp
	$(SPIN) $(JEMALLOC) $(BIN)/python -m hub.make_model --ship

# espeak-ng has to be there.
ears: .venv/train.stamp
	$(BIN)/python -m hub.make_ears --ship --resume

pictures: .venv/test.stamp
	$(BIN)/python docs/make_pictures.py

install-check: .venv/run.stamp
	@bash deploy/install_check.sh

arm64-check: .venv/run.stamp
	@bash deploy/arm64_check.sh

deb: .venv/run.stamp
	@$(BIN)/hub bundle dist/bundle
	@bash deploy/deb.sh dist/bundle

deb-check: .venv/run.stamp
	@bash deploy/deb_check.sh

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache
