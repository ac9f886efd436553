#!/bin/sh
# Every test; called by `make test` with the addresses of the servers in the environment.
set -eu
cd "$(dirname "$0")/.."
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace "$@"
    cargo test --workspace --doc --quiet
else
    cargo test --workspace "$@"
fi
