# Sallyport: what people type. The build itself is meson.build; `make help` lists the targets.
#
# `make build` and `make run` use build/release; `make check` and its parts use build/check.

MAKEFLAGS += --no-print-directory
RELEASE := build/release
PROGRAM := build/sallyport

SUITES := unit vectors attacks store sim torture e2e
PARTS := clients fuzz format lint layers

.DEFAULT_GOAL := help
.PHONY: help build run check bench clean packages $(addprefix test-,$(SUITES)) $(PARTS)

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

packages:
	@tools/install-deps run

# lib: where ld.so and pkg-config look; without dpkg-dev, meson may guess lib64, where they do not.
$(RELEASE)/build.ninja: | packages
	@mkdir -p build
	@meson setup $(RELEASE) --buildtype=release --libdir=lib -Dtests=false >build/setup.log 2>&1 </dev/null || \
	    { tail -n 20 build/setup.log; exit 1; }

build: packages $(RELEASE)/build.ninja ## builds the program: build/sallyport
	@ninja -C $(RELEASE) --quiet
	@tools/link-program $(RELEASE) $(PROGRAM)

run: build ## starts the server on http://127.0.0.1:8420, data in ./sallyport-data
	@exec $(PROGRAM) serve

check: ## everything that must hold; the last line counts it
	@{ command -v python3 >/dev/null || tools/install-deps check; } 2>&1
	@tools/check 2>&1

test-unit: ## each layer by itself
test-vectors: ## third-party test vectors
test-attacks: ## known attacks on tokens, sessions and HTTP
test-store: ## one conformance suite for every store
test-sim: ## simulated clocks, faults and schedules
test-torture: ## failing allocations and writes, kills
test-e2e: ## the program from outside
$(addprefix test-,$(SUITES)):
	@tools/check suite $(@:test-%=%)

clients: ## clients of other projects and a browser (Node 20 or newer)
fuzz: ## each fuzzer for FUZZ_SECONDS (a share of three minutes) on its kept corpus
lint: ## clang-tidy
layers: ## who may include whom
clients fuzz lint layers:
	@tools/check $@

format: ## formats the sources in place
	@find src include tests fuzz bench bindings -name node_modules -prune -o -name '*.[ch]' -print 2>/dev/null | \
	    xargs clang-format -i

bench: packages ## the benchmarks
	@tools/bench

clean: ## removes everything that was built; keeps ./sallyport-data
	@rm -rf build
