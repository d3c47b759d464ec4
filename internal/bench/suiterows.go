package bench

import (
	"fmt"

	"github.com/wirebird/wirebird/internal/load"
	"github.com/wirebird/wirebird/packet"
)

// suiteRow is an experiment of the table, with the figures that have a bar.
type suiteRow struct {
	x         Experiment
	transport string
	brokers   []Broker // Wirebird first, the other last
	figures   []figure
	turns     int    // at the first broker
	others    int    // turns at the others
	kin       string // rows next to each other with the same take turns: they are compared
}

// figure is a line of the table.
type figure struct {
	name  string // of the line
	part  string // the part of the experiment it is of
	unit  string
	value func(*Measurement) Figure
	bar   Figure // that Wirebird must not exceed; 0 is none
	ratio Figure // to the other that it must not exceed; 0 is none
}

func cpuOf(m *Measurement) Figure  { return m.CPU }
func userOf(m *Measurement) Figure { return m.CPU - m.System }
func cpu(name, part string, bar, ratio Figure) figure {
	return figure{name: name, part: part, unit: "us", value: cpuOf, bar: bar, ratio: ratio}
}

// table collects rows and the first error.
type table struct {
	o       *SuiteOptions
	brokers []Broker
	rows    []suiteRow
	err     error
}

func (t *table) add(x Experiment, err error, transport string, figures ...figure) {
	if err != nil && t.err == nil {
		t.err = err
	}
	t.rows = append(t.rows, suiteRow{x: x, transport: transport, brokers: t.brokers, figures: figures, turns: t.o.Runs, others: t.o.Runs})
}

func (t *table) last() *suiteRow { return &t.rows[len(t.rows)-1] }

// oftener lets the last row take more turns: a pause of the machine would decide it.
func (t *table) oftener() {
	r := t.last()
	r.turns = 2*t.o.Runs + 1
	r.others = r.turns
}

// short lets the last row, which takes a fraction of a second, take more turns.
func (t *table) short() {
	r := t.last()
	r.turns = 2*t.o.Runs - 1
	r.others = r.turns
}

// steady lets the last row, which takes long and says the same each time, take fewer turns.
func (t *table) steady() {
	r := t.last()
	r.turns = (t.o.Runs + 1) / 2
	r.others = r.turns
}

// compared lets the last row take its turns together with those of the same kin, and
// more of them at Wirebird.
func (t *table) compared(kin string) {
	r := t.last()
	r.kin, r.turns = kin, 2*t.o.Runs-1
}

func (t *table) messages(name string, w load.Work, bar, ratio Figure, more ...figure) {
	if w.Version == 0 {
		w.Version = packet.V311
	}
	x, err := t.o.messages(name, w)
	t.add(x, err, "tcp", append([]figure{cpu(name, "", bar, ratio)}, more...)...)
}

// rows is the table. The bars are microseconds of CPU for each message, or
// bytes, and ratios to Mosquitto 2.0 in the same run, on two processors.
func (o *SuiteOptions) rows() ([]suiteRow, error) {
	t := &table{o: o, brokers: []Broker{wirebirdEverywhere("wirebird", o.Wirebird, 0)}}
	if o.Mosquitto != "" {
		t.brokers = append(t.brokers, mosquittoEverywhere(o.Mosquitto, o.Nagle))
	}
	t.flows()
	t.paced()
	t.kept()
	t.connections()
	t.shards()
	return t.rows, t.err
}

func (t *table) flows() {
	many, one, pairs := t.o.scaled(100, 2), t.o.scaled(500, 2), t.o.scaled(200, 2)
	for qos, bar := range []Figure{0.70, 1.2, 2.2} {
		t.messages(fmt.Sprintf("fanin q%d", qos), load.Work{
			Pattern: load.All, QoS: byte(qos), Publishers: many, Subscribers: 1, Window: 16, Batch: 8,
		}, bar, 0.07)
	}
	for qos, bar := range []Figure{1.5, 1.8} {
		t.messages(fmt.Sprintf("fanout q%d", qos), load.Work{
			Pattern: load.All, QoS: byte(qos), Publishers: 1, Subscribers: one, Window: 8, Batch: 1,
		}, bar, 0.16)
	}
	for qos, bar := range []Figure{1.1, 2.0, 3.4} {
		name := fmt.Sprintf("pairs q%d", qos)
		w := load.Work{Pattern: load.Pairs, QoS: byte(qos), Publishers: pairs, Subscribers: pairs, Window: 16, Batch: 8}
		t.messages(name, w, bar, 0.09)
		t.compared(name)
		w.Version = packet.V5
		t.messages(name+" v5", w, bar*1.1, 0.09)
		t.compared(name)
		if qos == 0 {
			t.transports(name)
		}
	}
	t.messages("unbatched pairs q0", load.Work{
		Pattern: load.Pairs, Publishers: pairs, Subscribers: pairs, Window: 1, Batch: 1,
	}, 0, 0.75,
		figure{name: "unbatched pairs q0: user time", unit: "us", value: userOf, bar: 1},
		figure{name: "unbatched pairs q0: reads and writes", value: func(m *Measurement) Figure { return m.Calls }, bar: 2})
	clients := t.o.scaled(1000, 4)
	t.messages(fmt.Sprintf("wildcard, %d filters", clients*100), load.Work{
		Pattern: load.Scatter, Publishers: t.o.scaled(20, 2), Subscribers: clients, Window: 16, Batch: 8,
	}, 9, 0.5, figure{
		name: "bytes a subscription", unit: "B", bar: 400, ratio: 0.5,
		value: func(m *Measurement) Figure { return m.BytesPerSubscription },
	})
}

func (t *table) paced() {
	rate, pairs := 20_000*t.o.Scale, t.o.scaled(200, 2)
	for qos, bar := range []Figure{20, 26} {
		name := fmt.Sprintf("paced %.0f/s q%d", rate, qos)
		t.messages(name, load.Work{
			Pattern: load.Pairs, QoS: byte(qos), Publishers: pairs, Subscribers: pairs, Window: 1000, Batch: 1, Rate: rate,
		}, bar, 0.95, figure{name: name + ": p99", unit: "us", ratio: 1, value: func(m *Measurement) Figure { return m.P99Median }})
		t.oftener()
	}
}

func (t *table) kept() {
	x, err := StoredMessages("retained", load.Stored{
		Version: packet.V311, Count: t.o.scaled(100_000, 100), Publishers: 10, Payload: 64, Window: 16, Retained: true,
	})
	t.add(x, err, "tcp", cpu("retained store", "store", 2.5, 0.2), cpu("retained deliver", "deliver", 0.9, 0.2))
	t.short()
	x, err = StoredMessages("offline queue", load.Stored{
		Version: packet.V311, Count: t.o.scaled(200_000, 100), Publishers: 10, Payload: 64, Window: 16,
	})
	t.add(x, err, "tcp", cpu("offline queue store", "store", 1.7, 0.2), cpu("offline queue drain", "drain", 2.0, 0.2))
	t.short()
}

func (t *table) connections() {
	x, err := Connections("connect + disconnect", load.Connect{Version: packet.V311, Count: t.o.scaled(30_000, 20), AtOnce: 32})
	t.add(x, err, "tcp", cpu("connect + disconnect", "", 45, 1))
	idle := figure{unit: "B", bar: 1000, ratio: 1, value: func(m *Measurement) Figure { return m.BytesPerConnection }}
	for _, row := range []struct {
		transport string
		count     int
		bar       Figure
	}{{"tcp", 10_000, 1000}, {"tls", 2000, 9 << 10}} {
		name := "idle connection, " + row.transport
		w := load.Idle{Version: packet.V311, Count: t.o.scaled(row.count, 10), Settle: 5 * t.o.Duration / 2}
		idle.name, idle.bar = name, row.bar
		t.add(IdleConnections(name, w), nil, row.transport, idle)
		t.steady()
	}
}

// transports are compared with TCP, of the row with this name.
func (t *table) transports(tcp string) {
	pairs := t.o.scaled(200, 2)
	for _, transport := range []string{"ws", "tls"} {
		name := tcp + " " + transport
		x, err := t.o.messages(name, load.Work{
			Pattern: load.Pairs, Version: packet.V311, Publishers: pairs, Subscribers: pairs, Window: 16, Batch: 8,
		})
		t.add(x, err, transport, cpu(name, "", 0, 0))
		t.compared(tcp)
	}
}

// shards compares Wirebird with itself, one shard against two.
func (t *table) shards() {
	pairs := t.o.scaled(200, 2)
	x, err := t.o.messages("shards 2 against 1", load.Work{
		Pattern: load.Pairs, Version: packet.V311, Publishers: pairs, Subscribers: pairs, Window: 16, Batch: 8,
	})
	one := wirebirdEverywhere("wirebird, 1 shard", t.o.Wirebird, 1)
	one.Baseline = true
	all := t.brokers
	t.brokers = []Broker{wirebirdEverywhere("wirebird, 2 shards", t.o.Wirebird, 2), one}
	// Two processors that deliver 1.6 times as much spend 2/1.6 on each message.
	t.add(x, err, "tcp", cpu("shards 2 against 1: CPU", "", 0, 1.25),
		figure{name: "shards 2 against 1: rate", unit: "/s", value: func(m *Measurement) Figure { return m.Rate }})
	t.brokers = all
}
