# SPDX-License-Identifier: Apache-2.0
# One line per thing a person does; the work is in CMake, build/bin/millrace and tests/run.
JOBS ?= $(shell nproc)
SEEDS ?= 200
SECONDS ?= 300
BUILD ?= build
PRESET ?= release

.PHONY: setup build programs test up down sim chaos fuzz lint fmt bench test-clients clean
setup: ; @tests/setup packages.txt
build: ; @cmake --preset $(PRESET) --log-level=WARNING >/dev/null && cmake --build $(BUILD) -j$(JOBS)
programs: ; @cmake --preset $(PRESET) --log-level=WARNING >/dev/null && cmake --build $(BUILD) -j$(JOBS) --target millrace millrace-controller millrace-storage millrace-coordinator millrace-registry
up: setup programs ; @$(BUILD)/bin/millrace up --detach
down: ; @$(BUILD)/bin/millrace down
test: setup build ; @tests/run --build $(BUILD)
sim: build ; @$(BUILD)/bin/sim --seeds $(SEEDS)
chaos: build ; @tests/run --build $(BUILD) --only e2e --chaos-seconds $(SECONDS) -k storm
fuzz: ; @tests/fuzz/run
lint: ; @tests/lint/lint.py
fmt: ; @git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i
bench: build ; @bench/run goals
test-clients: setup build ; @tests/clients/run
clean: ; @rm -rf build build-*
