package bench

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// ticksPerSecond is USER_HZ, which is 100 wherever Go runs on Linux.
	ticksPerSecond = 100

	syncsMetric    = "wirebird_journal_syncs_total"
	readsMetric    = "wirebird_socket_reads_total"
	writesMetric   = "wirebird_socket_writes_total"
	metricsTimeout = 2 * time.Second
	metricsBytes   = 4 << 20 // what is read of a page of metrics
)

// processCPU returns the seconds of CPU a process has used, in the kernel too;
// NaN where there is no /proc.
func processCPU(pid int) float64 {
	if pid == 0 {
		return math.NaN()
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return math.NaN()
	}
	ticks, ok := parseStat(stat)
	if !ok {
		return math.NaN()
	}
	return float64(ticks) / ticksPerSecond
}

// parseStat returns utime and stime, fields 14 and 15 of /proc/PID/stat. The
// second field is the program's name in parentheses and may hold anything.
func parseStat(stat []byte) (ticks uint64, ok bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	fields := bytes.Fields(stat[end+1:]) // from the third on
	if len(fields) < 13 {
		return 0, false
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseUint(string(f), 10, 63)
		if err != nil {
			return 0, false
		}
		ticks += n
	}
	return ticks, true
}

// syncs returns how often the broker says it has forced its journal to disk,
// NaN if it does not say.
func (in *Instance) syncs(ctx context.Context) float64 {
	return readMetrics(ctx, in.Metrics, syncsMetric)
}

// socketCalls returns how many system calls the broker says it has made to its
// connections, NaN if it does not say.
func (s *Subject) socketCalls(ctx context.Context) float64 {
	return readMetrics(ctx, s.Metrics, readsMetric, writesMetric)
}

// readMetrics returns the sum of metrics in the Prometheus text format, NaN if it is not
// to be had. An empty url is none.
func readMetrics(ctx context.Context, url string, names ...string) float64 {
	if url == "" {
		return math.NaN()
	}
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return math.NaN()
	}
	// A transport of its own uses no proxy and keeps no connection.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return math.NaN()
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return math.NaN()
	}
	page, err := io.ReadAll(io.LimitReader(resp.Body, metricsBytes))
	if err != nil {
		return math.NaN()
	}
	sum := 0.0
	for _, name := range names {
		sum += sumMetric(bytes.NewReader(page), name)
	}
	return sum
}

// sumMetric returns the sum of a metric over its labels in the Prometheus text
// format, NaN if it is not there or not readable.
func sumMetric(page io.Reader, name string) float64 {
	sum, found := 0.0, false
	for lines := bufio.NewScanner(page); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		if rest[0] == '{' {
			// Label values may hold braces; the value and the time after it do not.
			rest = rest[strings.LastIndexByte(rest, '}')+1:]
		}
		fields := strings.Fields(rest) // the value, perhaps a time
		if len(fields) == 0 {
			return math.NaN()
		}
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return math.NaN()
		}
		sum, found = sum+v, true
	}
	if !found {
		return math.NaN()
	}
	return sum
}
