# Student Coaching: thin front door over cargo and sc-dev.
.DEFAULT_GOAL := help
PROFILE ?= dev
SC_DEV := cargo run --quiet --package dev-stack --bin sc-dev --

.PHONY: help run stop reset status test proofs bench bench-micro check fmt generate

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: ## Install what is missing, build, start everything, print URLs (PROFILE=release for speed)
	@sh deploy/install-prerequisites.sh
	@$(SC_DEV) run --profile $(PROFILE)

stop: ## Stop what runs in this checkout
	@$(SC_DEV) stop

reset: ## Stop, and remove all data under .dev
	@$(SC_DEV) reset

status: ## Show what runs
	@$(SC_DEV) status

test: ## Install what is missing and run every test against real servers
	@sh deploy/install-prerequisites.sh
	@cargo build --workspace --bins
	@$(SC_DEV) exec deploy/test.sh

proofs: ## What requirements promise at the sizes that they name, which takes half an hour; needs cargo-nextest
	@cargo build --workspace --bins
	@$(SC_DEV) exec deploy/proofs.sh

bench: ## Load on the stack in release, started for it when none runs; ARGS="saturate answer --rounds 1", see docs/PERFORMANCE.md
	@sh deploy/install-prerequisites.sh
	@deploy/bench.sh $(or $(ARGS),bench)

bench-micro: ## Measure single steps of a request: JSON, tokens, limits, grading, watched segments
	@sh deploy/install-prerequisites.sh
	@$(SC_DEV) exec cargo bench --quiet --package contracts --package access-token --package rate-limit --package exam --package video-progress --benches

check: ## Format, lints, documentation, charts, containers, protos
	@sh deploy/install-prerequisites.sh --check
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	@deploy/check.sh

fmt: ## Format the code
	@cargo fmt --all

generate: ## Write the generated files that are committed: docs/openapi.json and .sqlx
	@cargo run --quiet --package contracts --example openapi > docs/openapi.json.new && mv docs/openapi.json.new docs/openapi.json
	@$(SC_DEV) exec deploy/sqlx-prepare.sh
