# What people and CI run. Everything else is cargo's.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := help
.PHONY: help up test check bench drill toolchain

SERVICES := -p certfleet -p certfleet-api -p certfleet-worker -p certfleet-scheduler -p certfleet-agent

help: ## Show this list
	grep -E '^[a-z]+:.*## ' Makefile | sort | awk -F ':.*## ' '{ printf "make %-8s %s\n", $$1, $$2 }'

up: toolchain ## Run the whole cluster on this machine until Ctrl-C; ARGS="--port 14000" for its flags
	export CERTFLEET_MONGOD="$$(scripts/get-mongod)"
	cargo build --release $(SERVICES)
	exec target/release/certfleet up $(ARGS)

test: toolchain ## Run all tests, with real mongods and real ACME clients; ARGS="name" for some
	export CERTFLEET_MONGOD="$$(scripts/get-mongod)"
	scripts/get-test-tools
	export CERTFLEET_PKILINT="$$PWD/.certfleet/tools/venv/bin"
	# Before the tests, which start them.
	cargo build --workspace --bins
	data="$$(mktemp -d -t certfleet-tests-XXXXXX)"
	trap 'rm -rf "$$data"' EXIT
	target/debug/certfleet-replica-set "$$data" cargo test --workspace $(ARGS)

check: toolchain ## Check format, lints, dependencies and links in the documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/check-links
	if command -v cargo-deny >/dev/null; then
	    cargo deny --log-level warn check bans licenses sources
	else
	    echo "make check: cargo-deny is not installed, so licences and sources of dependencies are NOT checked: cargo install --locked cargo-deny" >&2
	fi

bench: toolchain ## Compare certfleet with Caddy and Pebble on this machine; ARGS="--rounds 1" for its flags
	export CERTFLEET_MONGOD="$$(scripts/get-mongod)"
	scripts/get-test-tools
	cargo build --release $(SERVICES) -p certfleet-load-tests
	exec target/release/certfleet-load-tests bench $(ARGS)

drill: toolchain ## Break a running cluster in every way it must survive; ARGS="primary zone" for some, "--list" for all
	export CERTFLEET_MONGOD="$$(scripts/get-mongod)"
	scripts/get-test-tools
	cargo build --workspace --bins
	exec target/debug/certfleet-drills $(ARGS)

toolchain:
	command -v cargo >/dev/null || { echo "make: cargo is missing: install Rust 1.90 or newer" >&2; exit 1; }
	command -v cc >/dev/null || { echo "make: a C compiler is missing: install gcc (Debian: build-essential)" >&2; exit 1; }
