#!/bin/sh
# What requirements promise, at the sizes that they name (about half an hour); called by `make proofs` with the addresses of the servers
# in the environment. Each size can be given: SC_STARTS=200 make proofs. What is measured is printed.
set -eu
cd "$(dirname "$0")/.."
# A crowd that begins an exam, two tabs each, at what a debug build does in time; `make bench ARGS="exam-start --students 2000"` shows
# all of it in release.
export SC_STARTS="${SC_STARTS:-600}" SC_START_SECONDS="${SC_START_SECONDS:-10}"
# Acknowledged answers of lossy clients while the exam process is killed every ten seconds.
export SC_ANSWERS="${SC_ANSWERS:-100000}" SC_CLIENTS="${SC_CLIENTS:-64}" SC_KILL_SECONDS="${SC_KILL_SECONDS:-10}" SC_EXAM_KILLS="${SC_EXAM_KILLS:-20}"
# Saves that race their hand-in; sequences of the model; kills of enrollment and notification (half of each); clients that hang up.
export SC_SUBMIT_RACES="${SC_SUBMIT_RACES:-10000}" SC_MODEL_RUNS="${SC_MODEL_RUNS:-100000}" SC_KILL_ROUNDS="${SC_KILL_ROUNDS:-40}" SC_HANG_UPS="${SC_HANG_UPS:-5000}"
tests='binary(durability) | binary(faults) | test(random_runs_do) | test(races_the_hand_in) | test(fault_killed_processes) | test(fault_redis)'
exec cargo nextest run --profile long --no-capture --package journeys --package exam --filterset "$tests" "$@"
