package mosquitto

import (
	"context"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// requester is the state of rr.
type requester struct {
	*run
	printer   *printer
	payload   []byte
	asked     time.Time
	latency   time.Duration
	subID     uint16
	requested bool
	answered  bool
}

func (r *run) rr(ctx context.Context) int {
	q := &requester{run: r, printer: r.newPrinter()}
	var ok bool
	if q.payload, ok = r.payload(); !ok || !r.prepare() {
		return exitFailed
	}
	if status := r.connectInTime(ctx); status != 0 {
		return status
	}
	r.on = handlers{connected: q.connected, subscribed: q.subscribed, message: q.message}
	rc := r.serve()
	if q.answered && r.cfg.latency {
		fmt.Fprintf(r.Out, "Latency: %s\n", latencyText(q.latency))
	}
	return r.outcome(rc)
}

func (q *requester) connected() {
	q.subID = q.newMid()
	q.send(&packet.Subscribe{
		ID: q.subID, Filters: []packet.Subscription{q.subscription(q.cfg.responseTopic)}, Properties: q.cfg.properties.subscribe,
	})
}

func (q *requester) subscribed(p *packet.Suback) {
	if len(p.Codes) > 0 && p.Codes[0] >= packet.UnspecifiedError {
		if q.ours() {
			q.exit = exitFailed
		}
		q.complain("%s\n", reasonText(p.Codes[0]))
		q.disconnect(packet.Success)
		return
	}
	if q.requested {
		return
	}
	q.requested = true
	q.asked = time.Now()
	m := packet.Publish{QoS: q.cfg.qos, Topic: []byte(q.cfg.topic), Payload: q.payload}
	if q.cfg.version == packet.V5 {
		m.Properties = q.cfg.properties.publish
	}
	if rc := q.unsendable(&m); rc != 0 {
		q.exit = rc
		q.complain("Error: %s\n", errorText(rc))
		q.disconnect(packet.Success)
		return
	}
	q.publish(m)
}

func (q *requester) message(m *packet.Publish) {
	if q.answered || q.cfg.noRetained && m.Retain {
		return
	}
	q.latency = time.Since(q.asked)
	q.answered = true
	q.printer.print(m, time.Now())
	q.disconnect(packet.Success)
}

// latencyText is a duration in the unit that suits it.
func latencyText(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d)
	case d < time.Millisecond:
		return fmt.Sprintf("%fµs", float64(d)/1e3)
	}
	return fmt.Sprintf("%fms", float64(d)/1e6)
}
