package bench

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/wirebird/wirebird/packet"
)

func FuzzHistogram(f *testing.F) {
	for _, v := range []int64{-1, 0, 1, 127, 128, 1e6, int64(histogramLimit), math.MaxInt64} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v int64) {
		h := newHistogram()
		h.record(time.Duration(v))
		want := float64(min(max(v, 0), int64(histogramLimit)))
		got := float64(h.quantile(0.5))
		if math.Abs(got-want) > want/100 {
			t.Errorf("%d comes back as %.0f", v, got)
		}
	})
}

func TestQuantiles(t *testing.T) {
	h, sum := newHistogram(), newHistogram()
	if h.quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for i := range 100 {
		h.record(time.Duration(i + 1)) // so small that every value has its own slot
	}
	sum.add(h)
	sum.add(h)
	for q, want := range map[float64]time.Duration{0.5: 50, 0.99: 99, 1: 100} {
		if got := sum.quantile(q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	if sum.total() != 200 {
		t.Errorf("%d durations, want 200", sum.total())
	}
}

// FuzzFrames: however the bytes arrive, they are cut the same.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x40, 2, 0, 1, 0x40, 2, 0, 2})
	f.Add([]byte{0x30, 0x80, 0x80, 0x01})
	f.Add([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0})
	f.Add((&packet.Publish{QoS: 1, ID: 3, Topic: []byte("a"), Payload: make([]byte, frameBuffer)}).Append(nil, packet.V311))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, wholeErr := cut(bytes.NewReader(in))
		single, singleErr := cut(iotest.HalfReader(bytes.NewReader(in)))
		if whole != single || fmt.Sprint(wholeErr) != fmt.Sprint(singleErr) {
			t.Errorf("% X: %s %v in one, %s %v in pieces", in, whole, wholeErr, single, singleErr)
		}
		if wholeErr == io.EOF && !strings.HasPrefix(fmt.Sprintf("%X", in), whole) {
			t.Errorf("% X was cut into %s", in, whole)
		}
	})
}

// cut returns the packets of src, encoded again, and what ended it.
func cut(src io.Reader) (packets string, err error) {
	var out strings.Builder
	for frames := newFrames(src); ; {
		h, body, err := frames.next()
		if err == nil && h.Type == 0 {
			if err = frames.fill(); err == nil {
				continue
			}
		}
		if err != nil {
			return out.String(), err
		}
		fmt.Fprintf(&out, "%X", packet.AppendVarint([]byte{byte(h.Type)<<4 | h.Flags}, uint32(h.Remaining)))
		fmt.Fprintf(&out, "%X", body)
	}
}

func TestAPacketThatIsTooLongIsRefused(t *testing.T) {
	_, err := cut(bytes.NewReader(packet.AppendVarint([]byte{0x30}, frameBytes+1)))
	if err == nil || err == io.EOF {
		t.Errorf("%v, want an error", err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("wirebird"), uint32(7), uint32(5))
	f.Add([]byte("a) R 1 (b"), uint32(0), uint32(1))
	f.Fuzz(func(t *testing.T, name []byte, user, system uint32) {
		line := fmt.Appendf(nil, "42 (%s) S 1 42 42 0 -1 4194560 9 0 0 0 %d %d 0 0 20 0", name, user, system)
		if ticks, ok := parseStat(line); !ok || ticks != uint64(user)+uint64(system) {
			t.Errorf("%q: %d, %v", line, ticks, ok)
		}
		if ticks, ok := parseStat(name); !ok && ticks != 0 {
			t.Errorf("%q: %d without being sure", name, ticks)
		}
	})
}

func TestCPUOfThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	if s := processCPU(os.Getpid()); !(s >= 0 && s < 3600) {
		t.Errorf("%v seconds", s)
	}
	if s := processCPU(0); !math.IsNaN(s) {
		t.Errorf("%v seconds of nobody", s)
	}
}

func FuzzSumMetric(f *testing.F) {
	f.Add("pebble", "HELP", uint32(12), uint32(30))
	f.Add(`a} 1`, "", uint32(1), uint32(2))
	f.Fuzz(func(t *testing.T, label, noise string, a, b uint32) {
		if len(label)+len(noise) > 4096 {
			t.Skip("a scanner's line has an end")
		}
		noise = "# " + strings.Map(func(r rune) rune {
			if r == '\n' {
				return ' '
			}
			return r
		}, noise)
		page := fmt.Sprintf("%s\nsyncs_total{l=%s} %d\nsyncs_total_other 99\nsyncs_total %d\n%[1]s\n", noise, strconv.Quote(label), a, b)
		if got := sumMetric(strings.NewReader(page), "syncs_total"); got != float64(a)+float64(b) {
			t.Errorf("%q: %v, want %d + %d", page, got, a, b)
		}
		if got := sumMetric(strings.NewReader(page), "syncs"); !math.IsNaN(got) {
			t.Errorf("%q: %v for a name that is not there", page, got)
		}
	})
}

func TestWhatMetricsDoNotTellIsUnknown(t *testing.T) {
	for _, page := range []string{"", "m", "m ", "m x", "m{", "m{}", "m{} x", "mm 1"} {
		if got := sumMetric(strings.NewReader(page), "m"); !math.IsNaN(got) {
			t.Errorf("%q: %v", page, got)
		}
	}
	if got := (&Instance{Metrics: "http://127.0.0.1:1/metrics"}).syncs(t.Context()); !math.IsNaN(got) {
		t.Errorf("%v syncs from nowhere", got)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s 3\n%s 4\nother 5\n", readsMetric, writesMetric)
	}))
	defer page.Close()
	if got := (&Subject{Metrics: page.URL}).socketCalls(t.Context()); got != 7 {
		t.Errorf("%v reads and writes, want 7", got)
	}
	if got := (&Subject{}).socketCalls(t.Context()); !math.IsNaN(got) {
		t.Errorf("%v reads and writes of a broker without metrics", got)
	}
}

func TestDiskIsMeasuredAndLeftClean(t *testing.T) {
	dir := t.TempDir()
	d, err := MeasureDisk(dir)
	if err != nil || d.P50 <= 0 || d.P99 < d.P50 {
		t.Errorf("%+v, %v", d, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
}
