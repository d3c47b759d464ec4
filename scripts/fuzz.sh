#!/usr/bin/env bash
# Runs every fuzz target of the module in turn, each for the given time.
# Usage: scripts/fuzz.sh [TIME]   (TIME as `go test -fuzztime` takes it; 1m)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

time=${1:-1m}
ran=0
for dir in $(grep -rlE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Z0-9_]' . | xargs -r -n1 dirname | sort -u); do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | awk '{print $2}' | sort -u); do
		echo "fuzz: $dir $target for $time"
		go test -run='^$' -fuzz="^$target\$" -fuzztime="$time" -fuzzminimizetime=10s "$dir"
		ran=$((ran + 1))
	done
done
echo "fuzz: $ran targets"
[ "$ran" -gt 0 ]
