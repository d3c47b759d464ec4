// Package metrics shows a broker's figures to Prometheus.
//
// The broker counts by itself, each shard for itself. This package asks for the sum
// when somebody scrapes, so that no message is slower for being counted here. It knows
// names, units and what an operator does with a figure, and keeps no figure itself.
// The registry is the caller's; nothing here is global.
package metrics

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/wirebird/wirebird/broker"
)

// gatherTimeout is how long a scrape waits for the shards. They answer within one turn
// of their loops; one that does not for this long is stuck, and the scrape says so.
const gatherTimeout = 5 * time.Second

// Source gives the figures of now, as [broker.Broker.Stats] does.
type Source func(context.Context) (broker.Stats, error)

// Register adds to r the figures of source, the version, and those of the Go runtime
// and of this process.
func Register(r prometheus.Registerer, version string, source Source) error {
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: buildInfo, Help: buildInfoHelp,
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{
		newCollector("the broker's", source, metrics()), info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// collector reads figures S once a scrape.
type collector[S any] struct {
	whose   string
	source  func(context.Context) (S, error)
	metrics []metric[S]
	descs   []*prometheus.Desc // of metrics, by index
}

func newCollector[S any](whose string, source func(context.Context) (S, error), metrics []metric[S]) *collector[S] {
	c := &collector[S]{whose: whose, source: source, metrics: metrics}
	for _, m := range c.metrics {
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector[S]) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector[S]) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	s, err := c.source(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.descs[0], fmt.Errorf("gather %s figures: %w", c.whose, err))
		return
	}
	for i, m := range c.metrics {
		kind := prometheus.GaugeValue
		if m.counter() {
			kind = prometheus.CounterValue
		}
		m.read(&s, func(v float64, label string) {
			var labels []string
			if m.label != "" {
				labels = []string{label}
			}
			out <- prometheus.MustNewConstMetric(c.descs[i], kind, v, labels...)
		})
	}
}

// Reference returns the page of all metrics, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	b.WriteString(tableHead)
	rows(&b, metrics())
	row(&b, buildInfo, "gauge", "`version`, `go`", buildInfoHelp)
	b.WriteString(referenceJournal)
	rows(&b, journalMetrics())
	b.WriteString("\n## Reasons of dropped messages\n\n| `reason` | counts | what was dropped |\n|---|---|---|\n")
	for _, d := range broker.Drops() {
		counts := "messages"
		if d.Copies() {
			counts = "copies"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d, counts, dropHelp(d))
	}
	return b.String()
}

// rows are those of the table of metrics.
func rows[S any](b *strings.Builder, list []metric[S]) {
	for _, m := range list {
		kind, label := "gauge", ""
		if m.counter() {
			kind = "counter"
		}
		if m.label != "" {
			label = "`" + m.label + "`"
		}
		row(b, m.name, kind, label, m.help)
	}
}

func row(b *strings.Builder, name, kind, labels, help string) {
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, kind, labels, strings.ReplaceAll(help, "|", "\\|"))
}

const referenceIntro = `# Metrics

The admin server answers ` + "`GET /metrics`" + ` in the Prometheus text format. The figures are
read when it is asked; nothing is counted on behalf of it. Beside the table there are
the usual ` + "`go_*`" + ` and ` + "`process_*`" + ` metrics of the Go client library.

A *copy* is one message for one session. At any instant

    routed = delivered + inflight + queued + expired + dropped copies

holds for all copies; ` + "`wirebird_messages_unbalanced`" + ` is the difference and stays 0.
Counters start at 0 with the process. The names of ` + "`reason`" + ` for connections are those of
the MQTT 5.0 reason codes, as in the log.

This page is made by a test from the code.

`

const referenceJournal = `
## The journal

These are there when state is kept on disk, which is the default.

` + tableHead

const tableHead = "| metric | kind | labels | meaning |\n|---|---|---|---|\n"
