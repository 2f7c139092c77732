# The commands of the day; continuous integration runs the same. `make` alone lists them.

TARGET  := $(or $(CARGO_TARGET_DIR),target)
BUILT   := $(TARGET)/debug
CONSOLE := controller/console

.PHONY: help up test bench lint fmt package console console-dev console-types screenshots

.DEFAULT_GOAL := help

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: console build ## build, then run a controller and an agent for this machine (DATA=folder, LISTEN=address:port)
	$(BUILT)/watchkeep up $(if $(DATA),--data $(DATA)) $(if $(LISTEN),--listen $(LISTEN))

test: tools lint console ## every test; as root it first installs the Debian packages that they need
	tests/bin/host-root
	packaging/build-deb
	cargo build --workspace --bins
	cargo nextest run --workspace
	cd $(CONSOLE) && npm test && WATCHKEEP_PROGRAMS=$(abspath $(BUILT)) npm run e2e

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

console: $(CONSOLE)/dist/index.html ## the web console, for the program to carry (Node 20.19 or later)

console-dev: $(CONSOLE)/node_modules ## the console as its sources change, against a controller that runs (WATCHKEEP_URL)
	cd $(CONSOLE) && npm run dev

console-types: $(CONSOLE)/node_modules ## the console's types anew, from what the API's handlers say today
	WATCHKEEP_WRITE_OPENAPI=1 cargo test -p watchkeep --lib console:: -- --include-ignored
	cd $(CONSOLE) && npm run types

screenshots: console build ## each page of the console as a picture, into controller/console/screenshots
	cd $(CONSOLE) && WATCHKEEP_PROGRAMS=$(abspath $(BUILT)) npm run screenshots

package:         ## the agent's Debian package
	packaging/build-deb

# ---- what those stand on ----
$(CONSOLE)/dist/index.html: $(CONSOLE)/node_modules $(shell find $(CONSOLE)/src $(CONSOLE)/build $(CONSOLE)/*.ts $(CONSOLE)/index.html -type f)
	cd $(CONSOLE) && npm run build

$(CONSOLE)/node_modules: $(CONSOLE)/package-lock.json
	@command -v node >/dev/null || { echo "the console is built with Node 20.19 or later, and no node is in PATH; see https://nodejs.org/en/download (cargo build works without)"; exit 1; }
	@node $(CONSOLE)/build/node.mjs
	cd $(CONSOLE) && npm ci --no-audit --no-fund
	@touch $@

.PHONY: build tools

# One at a time, as they ship: built together, each would carry the other's TLS provider.
build:
	cargo build -p watchkeep-agent
	cargo build -p watchkeep

tools:
	tests/bin/packages
	@command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
