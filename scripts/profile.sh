#!/usr/bin/env bash
# Shows where a broker's processor time goes, for one or more programs beside each
# other: microseconds of a delivered message, by what they were spent on.
#
#   scripts/profile.sh                        bin/wirebird as it is
#   scripts/profile.sh old/wirebird bin/wirebird   before and after
#
# Needs perf (Debian: linux-perf) and the right to use it. WORKLOADS chooses some of
# fanin pairs unbatched scatter paced; SECONDS_EACH is how long each is watched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ $# -gt 0 ] || set -- bin/wirebird
command -v perf >/dev/null || { echo "profile: perf is not installed; on Debian: apt-get install linux-perf" >&2; exit 1; }
for program in "$@"; do
	[ -x "$program" ] || { echo "profile: $program is not a program; build it with: make build" >&2; exit 1; }
done
load=$1
[ ! -x bin/wirebird ] || load=bin/wirebird
seconds=${SECONDS_EACH:-4}
dir=$(mktemp -d)
broker=
cleanup() {
	[ -z "$broker" ] || kill "$broker" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT

flags() {
	case $1 in
	fanin) echo "--pattern fanin --publishers 100 -q 0" ;;
	pairs) echo "--pattern pairs --publishers 200 -q 1" ;;
	unbatched) echo "--pattern pairs --publishers 200 -q 0 --window 1 --batch 1" ;;
	scatter) echo "--pattern scatter --subscribers 1000 --publishers 20 -q 0" ;;
	paced) echo "--pattern pairs --publishers 200 -q 1 --window 1000 --batch 1 --rate 20000" ;;
	*) echo "profile: no workload $1" >&2; return 1 ;;
	esac
}

# parts reads perf script and prints a share for each part. The first frame, from
# the innermost, that says what a sample was for decides; what is left is by the
# innermost frame's side.
parts() {
	awk '
	function done() {
		if (!open) return
		total++
		if (part == "") part = kernel ? "kernel: other" : (own ? "Wirebird" : "runtime: other")
		n[part]++
		open = 0
	}
	/^$/ { done(); next }
	/^[^ \t]/ { done(); open = 1; part = ""; kernel = -1; own = 0; next }
	{
		sym = $2
		if (kernel < 0) kernel = ($1 ~ /^ffff/)
		if (sym ~ /^github.com\/wirebird/) own = 1
		if (part != "") next
		if (sym ~ /^(__x64_sys_(sendto|sendmsg|write|writev)|ksys_write|do_writev)/) part = "kernel: send"
		else if (sym ~ /^(__x64_sys_(recvfrom|recvmsg|read|readv)|ksys_read|do_readv)/) part = "kernel: receive"
		else if (sym ~ /^__x64_sys_epoll_p?wait/) part = "kernel: wait"
		else if (sym ~ /^runtime\.(gcBgMarkWorker|bgsweep|bgscavenge|gcAssistAlloc|gcStart|gcMarkDone|gcMarkTermination)/) part = "runtime: collector"
		else if (!kernel && sym ~ /^runtime\.mallocgc/) part = "runtime: allocation"
	}
	END {
		done()
		for (p in n) printf "%s\t%.4f\n", p, n[p] / total
	}'
}

# watch profiles one program under one workload: parts in microseconds.
watch() {
	local program=$1 workload=$2 port out=$dir/out each
	port=$((20000 + RANDOM % 10000))
	"$program" serve --in-memory --listen "tcp://127.0.0.1:$port" --admin off --log-level error >/dev/null 2>&1 &
	broker=$!
	for _ in $(seq 100); do
		(: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
		sleep 0.05
	done
	# shellcheck disable=SC2046 # flags are words
	"$load" bench sub "127.0.0.1:$port" $(flags "$workload") --duration "${seconds}s" --pid "$broker" --no-plot --json >"$out" &
	local bench=$!
	sleep 1.5
	perf record -q -F 1999 -g -p "$broker" -o "$dir/perf" -- sleep $((seconds - 1)) >/dev/null 2>&1
	wait "$bench"
	kill "$broker"
	wait "$broker" 2>/dev/null || true
	broker=
	each=$(sed -n 's/.*"broker_cpu_us":\([0-9.]*\).*/\1/p' "$out")
	perf script -i "$dir/perf" -F comm,ip,sym 2>/dev/null | parts | awk -F'\t' -v each="$each" '
		{ printf "%s\t%.3f\n", $1, $2 * each }
		END { printf "total\t%.3f\n", each }' >"$3"
}

for workload in ${WORKLOADS:-fanin pairs unbatched scatter paced}; do
	flags "$workload" >/dev/null
	i=0
	files=()
	for program in "$@"; do
		i=$((i + 1))
		watch "$program" "$workload" "$dir/parts$i"
		files+=("$dir/parts$i")
	done
	echo "$workload, us of a message: $*"
	awk -F'\t' '
	FNR == 1 { file++ }
	{ v[$1, file] = $2; seen[$1] = 1 }
	END {
		split("kernel: send|kernel: receive|kernel: wait|kernel: other|Wirebird|runtime: allocation|runtime: collector|runtime: other|total", order, "|")
		for (i = 1; i in order; i++) if (order[i] in seen) {
			printf "  %-20s", order[i]
			for (f = 1; f <= file; f++) printf " %8.3f", v[order[i], f]
			print ""
		}
	}' "${files[@]}"
done
