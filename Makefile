# Two commands do everything on a fresh machine that has rustup: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO_TARGET_DIR ?= $(CURDIR)/target
GUEST_TARGET_DIR ?= $(CURDIR)/guest-plugins/rust/target
NOZZLE_TEST_SERVERS ?= $(CURDIR)/.servers
export CARGO_TARGET_DIR GUEST_TARGET_DIR NOZZLE_TEST_SERVERS
GUESTS := guest-plugins/rust
DIST := guest-plugins/dist

help: ## Lists the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

toolchain: ## Installs the pinned toolchain and the guests' target, where they are missing.
	@rustc --version >/dev/null 2>&1 || rustup toolchain install --profile minimal --component rustfmt --component clippy "$$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)"
	@rustup target list --installed | grep -qx wasm32-wasip2 || rustup target add wasm32-wasip2

rust-guests: toolchain ## Builds the plugins in Rust alone into guest-plugins/dist.
	cd $(GUESTS) && CARGO_TARGET_DIR=$(GUEST_TARGET_DIR) cargo build --release --locked --target wasm32-wasip2
	mkdir -p $(DIST)
	for plugin in json_batch per_record bulk template hostile lookup dedup probe $$(ls $(GUESTS)/services | grep -v '\.md$$' | tr - _); do cp $(GUEST_TARGET_DIR)/wasm32-wasip2/release/$$plugin.wasm $(DIST)/; done

guests: rust-guests ## Builds the plugins of every language into guest-plugins/dist (Node.js and Python are needed; their tools are installed beside the test servers).
	guest-plugins/typescript/build.sh
	guest-plugins/python/build.sh
	guest-plugins/go/build.sh
	guest-plugins/c/build.sh

vectors: guests ## Builds the plugins of every language, and runs the vectors of their jobs against each.
	cargo test -p nozzle --locked --profile vectors --test guests -- --nocapture

# With the tests' features, so that `make test` compiles no dependency again.
build: toolchain ## Builds the host.
	cargo build --workspace --locked --bins --tests

demo: rust-guests build ## Shows it: a stream, a plugin, an endpoint that misbehaves, nothing lost.
	$(CARGO_TARGET_DIR)/debug/nozzle demo

servers: ## Installs the servers that the tests run against (Python, Node.js and a JDK with Maven are needed; what else is needed comes from Debian, if it is not there, and is not installed).
	host/testkit/servers/install.sh host/testkit/servers "$(NOZZLE_TEST_SERVERS)"
	host/testkit/servers/install.sh host/testkit/proxies "$(NOZZLE_TEST_SERVERS)/proxies"
	host/testkit/servers/install.sh host/testkit/auth "$(NOZZLE_TEST_SERVERS)/auth"
	host/testkit/servers/install.sh host/testkit/api "$(NOZZLE_TEST_SERVERS)/api"
	host/testkit/servers/install.sh host/testkit/events "$(NOZZLE_TEST_SERVERS)/events"
	host/testkit/servers/install.sh host/testkit/packages "$(NOZZLE_TEST_SERVERS)/packages"
	host/testkit/servers/install.sh host/testkit/stores "$(NOZZLE_TEST_SERVERS)/stores"
	cargo build --locked --manifest-path host/testkit/wkg/Cargo.toml --target-dir "$(NOZZLE_TEST_SERVERS)/wkg"

test: guests servers build ## Runs every test.
	cd $(GUESTS) && CARGO_TARGET_DIR=$(GUEST_TARGET_DIR) cargo test --locked --lib
	cd $(GUESTS) && CARGO_TARGET_DIR=$(GUEST_TARGET_DIR) cargo test --locked --doc -p nozzle-plugin
	cargo test --workspace --locked
	guest-plugins/typescript/test.sh $(CARGO_TARGET_DIR)/debug/nozzle
	guest-plugins/python/test.sh $(CARGO_TARGET_DIR)/debug/nozzle
	guest-plugins/go/test.sh $(CARGO_TARGET_DIR)/debug/nozzle
	guest-plugins/c/test.sh $(CARGO_TARGET_DIR)/debug/nozzle

book: ## Writes the book to target/book (Python is needed; mdBook comes from PyPI).
	host/testkit/servers/install.sh host/testkit/book "$(NOZZLE_TEST_SERVERS)/book"
	"$(NOZZLE_TEST_SERVERS)/book/python/bin/mdbook" build

mutants: guests build ## Plants each bug of host/mutants in a copy of the sources, and has the oracle find it.
	host/mutants/run.sh

mutation: toolchain ## Tries every mutant of the modules that decide by their unit tests (docs/proof.md; half an hour on two cores; installs cargo-mutants if it is missing). MUTATION="--re host/src/batch"
	host/mutation/run.sh $(MUTATION)

soak: guests servers build ## The long proofs, an hour or more (docs/proof.md). KILLS=1000 RECORDS=10000000 OUTAGE=600 SEEDS=100000 SEED=1
	NOZZLE_PROOF_SEED=$(or $(SEED),1) NOZZLE_PROOF_KILLS=$(or $(KILLS),1000) NOZZLE_PROOF_RECORDS=$(or $(RECORDS),10000000) \
		cargo test -p nozzle --locked --test proof -- --nocapture nothing_is_lost_over_kills_of_every_kind
	NOZZLE_PROOF_OUTAGE=$(or $(OUTAGE),600) cargo test -p nozzle --locked --test proof -- --nocapture an_outage
	NOZZLE_SIM_SEEDS=$(or $(SEEDS),100000) cargo test -p nozzle --locked --lib -- --nocapture simulation

interleavings: toolchain ## What threads share, through every interleaving (compiles its own dependencies: minutes).
	cargo test -p nozzle --locked --features loom --lib interleavings

lint: toolchain ## Formatting, clippy, and the documentation, with warnings as errors.
	cargo fmt --all --check
	cd $(GUESTS) && cargo fmt --all --check
	cargo clippy --workspace --locked --all-targets -- -D warnings
	cd $(GUESTS) && CARGO_TARGET_DIR=$(GUEST_TARGET_DIR) cargo clippy --workspace --locked --all-targets --target wasm32-wasip2 -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --locked --no-deps --document-private-items
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check licenses bans sources; else echo "cargo-deny is not installed: licences and sources were not checked"; fi

bench-servers: ## Installs the Kinesis server that the benchmark reads from (Python is needed).
	host/testkit/servers/install.sh host/bench/servers "$(NOZZLE_TEST_SERVERS)/bench"

bench: guests bench-servers ## Measures the host against a bare loop, in a release build. ROUNDS=5 RECORDS=200000
	cargo build --release --locked -p nozzle -p nozzle-bench
	$(CARGO_TARGET_DIR)/release/bench --rounds $(or $(ROUNDS),5) --records $(or $(RECORDS),200000)

bench-swap: guests ## Measures what swaps cost the records that come meanwhile, in a release build. ROUNDS=7 SWAP_SECONDS=5 RATE=2000
	cargo build --release --locked -p nozzle -p nozzle-bench
	$(CARGO_TARGET_DIR)/release/bench-swap --rounds $(or $(ROUNDS),7) --seconds $(or $(SWAP_SECONDS),5) --rate $(or $(RATE),2000)

bench-guests: guests ## Measures the same plugin in every language, with a release build of the host. ROUNDS=5
	cargo build --release --locked -p nozzle -p nozzle-bench
	$(CARGO_TARGET_DIR)/release/bench-guests --rounds $(or $(ROUNDS),5)

micro: guests ## Micro-benchmarks of shape, handle and the batcher.
	cargo bench --locked -p nozzle

fuzz: toolchain ## Runs the fuzz targets under libFuzzer (a C++ compiler is needed). FUZZ_SECONDS=60 FUZZ_JOBS=2 FUZZ_TARGETS=…
	host/fuzz/run.sh "$(or $(FUZZ_SECONDS),60)" $(FUZZ_TARGETS)

fuzz-plugins: guests ## Sends mutated and generated components through the plugin loader. FUZZ_COMPONENTS=20000 FUZZ_SEED=1
	cargo run --locked -p nozzle-fuzz-plugins --features run -- $(or $(FUZZ_COMPONENTS),20000) $(or $(FUZZ_SEED),1)

bless: guests servers build ## Rewrites the committed schema, reference and expected errors.
	BLESS=1 INSTA_UPDATE=always cargo test --workspace --locked

clean: ## Removes what was built.
	rm -rf target guest-plugins/rust/target $(DIST) .servers

.PHONY: help toolchain rust-guests guests vectors servers build demo test book mutants mutation soak interleavings lint bench-servers bench bench-swap bench-guests micro fuzz fuzz-plugins bless clean
