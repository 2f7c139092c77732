# The commands of the day; continuous integration runs the same. `make` alone lists them.

.PHONY: help up test bench lint fmt package

help:            ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: build        ## build, then run a controller and an agent for this machine (DATA=folder, LISTEN=address:port)
	$(BUILT)/watchkeep up $(if $(DATA),--data $(DATA)) $(if $(LISTEN),--listen $(LISTEN))

test: tools lint ## every test; as root it first installs the Debian packages that they need
	tests/bin/host-root
	packaging/build-deb
	cargo build --workspace --bins
	cargo nextest run --workspace

bench:           ## measure, and print the figures (BENCH="fleet --hosts 1000 --minutes 10"; BENCH=--help tells more)
	tests/bin/packages debian-packages-bench
	cargo build --release -p watchkeep
	cargo build --release -p watchkeep-agent
	cargo build --release -p watchkeep-tests --bins
	$(TARGET)/release/watchkeep-bench $(BENCH)
	WATCHKEEP_MUTATIONS=100000 cargo test --release -p watchkeep-rules --test mutations
	WATCHKEEP_MUTATIONS=100000 cargo test --release -p watchkeep --lib mutation

lint:            ## formatting and clippy, warnings refused
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt:             ## format everything
	cargo fmt --all

package:         ## the agent's Debian package
	packaging/build-deb

# ---- what those stand on ----
TARGET := $(or $(CARGO_TARGET_DIR),target)
BUILT  := $(TARGET)/debug

.PHONY: build tools

# One at a time, as they ship: built together, each would carry the other's TLS provider.
build:
	cargo build -p watchkeep-agent
	cargo build -p watchkeep

tools:
	tests/bin/packages
	@command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
