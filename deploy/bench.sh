#!/bin/sh
# Load on the stack of this checkout; called by `make bench`. Starts the stack with deploy/bench.env when none runs, and stops it again.
set -eu
cd "$(dirname "$0")/.."
# Ten thousand users are as many connections, here and at the gateway.
ulimit -n "$(ulimit -Hn)" || true
cargo build --release --quiet --workspace --bins
# Two files are compared without a stack.
[ "${1:-}" != compare ] || exec target/release/sc-load "$@"
dev=target/release/sc-dev
if ! $dev status >/dev/null 2>&1; then
    set -a
    . deploy/bench.env
    set +a
    $dev run --profile release --detach
    trap '$dev stop' EXIT
fi
target/release/sc-load "$@"
