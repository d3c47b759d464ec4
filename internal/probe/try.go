package probe

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// listener is a client that keeps what it gets.
type listener struct {
	*client.Client
	got chan *client.Message
}

const listenerQueue = 64

func (p *probe) listen(ctx context.Context) (*listener, error) {
	l := &listener{got: make(chan *client.Message, listenerQueue)}
	var err error
	l.Client, err = p.connect(ctx, func(o *client.Options) {
		o.OnMessage = func(_ *client.Client, m *client.Message) {
			select {
			case l.got <- m:
			default: // more than the probe has caused
			}
		}
	})
	return l, err
}

// subscribe tells whether a subscription is granted.
func (p *probe) subscribe(ctx context.Context, l *listener, s client.Subscription) (Answer, packet.ReasonCode) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	codes, err := l.Subscribe(ctx, s)
	if err != nil {
		return Answer{Detail: reason(err)}, packet.UnspecifiedError
	}
	return Answer{OK: true}, codes[0]
}

func (p *probe) publish(ctx context.Context, c *client.Client, m client.Message) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	return c.Publish(ctx, m)
}

// next waits for a message.
func (l *listener) next(ctx context.Context, d time.Duration) *client.Message {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case m := <-l.got:
		return m
	case <-timer.C:
	case <-l.Done():
	case <-ctx.Done():
	}
	return nil
}

// echo publishes and tells whether the message came back.
func (p *probe) echo(ctx context.Context, l *listener, m client.Message) *client.Message {
	if err := p.publish(ctx, l.Client, m); err != nil {
		return nil
	}
	return l.next(ctx, quiet)
}

// qos finds the highest QoS that is granted, taken and delivered.
func (p *probe) qos(ctx context.Context) {
	p.r.MaxQoS = -1
	for qos := range byte(3) {
		p.Progress(fmt.Sprintf("publish at QoS %d", qos))
		l, err := p.listen(ctx)
		if err != nil {
			return
		}
		name := fmt.Sprintf("%s/q%d", p.prefix, qos)
		a, code := p.subscribe(ctx, l, client.Subscription{Filter: name, QoS: qos})
		if a.OK && byte(code) == qos {
			if m := p.echo(ctx, l, client.Message{Topic: name, QoS: qos, Payload: []byte("x")}); m != nil && m.QoS == qos {
				p.r.MaxQoS = int(qos)
			}
		}
		_ = l.Close() // nothing more is wanted from it
	}
}

// subscriptions tries wildcards, shares and identifiers, each on a connection
// of its own, which a refusal may end.
func (p *probe) subscriptions(ctx context.Context) {
	for _, kind := range []struct {
		name string
		sub  client.Subscription
		to   *Answer
		v5   bool
	}{
		{"a wildcard", client.Subscription{Filter: p.prefix + "/w/+/#"}, &p.r.Wildcard, false},
		{"a share", client.Subscription{Filter: "$share/probe/" + p.prefix + "/w/x/y"}, &p.r.Shared, false},
		{"a subscription identifier", client.Subscription{Filter: p.prefix + "/w/x/y", ID: 7}, &p.r.SubscriptionIdentifiers, true},
	} {
		if kind.v5 && p.best != packet.V5 {
			kind.to.Detail = "needs MQTT 5.0"
			continue
		}
		p.Progress("subscribe with " + kind.name)
		l, err := p.listen(ctx)
		if err != nil {
			kind.to.Detail = reason(err)
			continue
		}
		if *kind.to, _ = p.subscribe(ctx, l, kind.sub); kind.to.OK {
			m := p.echo(ctx, l, client.Message{Topic: p.prefix + "/w/x/y", Payload: []byte("x")})
			switch {
			case m == nil:
				*kind.to = Answer{Detail: "granted, but nothing is delivered"}
			case kind.v5 && (len(m.Properties.SubscriptionIDs) != 1 || m.Properties.SubscriptionIDs[0] != 7):
				*kind.to = Answer{Detail: "granted, but not delivered with the message"}
			}
		}
		_ = l.Close() // nothing more is wanted from it
	}
}

// retain stores a message, takes it back and removes it.
func (p *probe) retain(ctx context.Context) {
	p.Progress("retain a message")
	l, err := p.listen(ctx)
	if err != nil {
		p.r.Retain.Detail = reason(err)
		return
	}
	defer l.Close()
	name := p.prefix + "/retained"
	qos := byte(max(min(p.r.MaxQoS, 1), 0))
	if err := p.publish(ctx, l.Client, client.Message{Topic: name, QoS: qos, Retain: true, Payload: []byte("kept")}); err != nil {
		p.r.Retain.Detail = reason(err)
		return
	}
	a, _ := p.subscribe(ctx, l, client.Subscription{Filter: name})
	if m := l.next(ctx, quiet); a.OK && m != nil && m.Retain && string(m.Payload) == "kept" {
		p.r.Retain.OK = true
	} else {
		p.r.Retain.Detail = "stored, but not delivered to a new subscription"
	}
	// If this fails, the message was not kept either, or the connection is gone.
	_ = p.publish(ctx, l.Client, client.Message{Topic: name, QoS: qos, Retain: true})
}

func (p *probe) sys(ctx context.Context) {
	p.Progress("look for $SYS/broker/version")
	l, err := p.listen(ctx)
	if err != nil {
		return
	}
	defer l.Close()
	if a, _ := p.subscribe(ctx, l, client.Subscription{Filter: "$SYS/broker/version"}); a.OK {
		if m := l.next(ctx, sysTimeout); m != nil {
			p.r.SysVersion = string(m.Payload)
		}
	}
}

// packetSize finds the largest packet by trying, if it was not announced.
func (p *probe) packetSize(ctx context.Context) {
	if p.r.MaxPacketSize >= 0 {
		return
	}
	if p.r.MaxQoS < 1 {
		p.r.MaxPacketSizeKnown = "unknown: it takes QoS 1 to find out"
		return
	}
	fits, tooLarge := 0, 0
	for size := 1 << 10; size <= p.LargestPacket; size *= 2 {
		if !p.fits(ctx, size) {
			tooLarge = size
			break
		}
		fits = size
	}
	for tooLarge > 0 && tooLarge-fits > max(fits/64, 16) && ctx.Err() == nil {
		if middle := (fits + tooLarge) / 2; p.fits(ctx, middle) {
			fits = middle
		} else {
			tooLarge = middle
		}
	}
	if p.r.MaxPacketSize = int64(fits); tooLarge == 0 {
		p.r.MaxPacketSizeKnown = "tried: the largest that was tried"
		return
	}
	p.r.MaxPacketSizeKnown = fmt.Sprintf("tried: %d bytes are too large", tooLarge)
}

// fits tells whether a PUBLISH of size bytes is taken.
func (p *probe) fits(ctx context.Context, size int) bool {
	p.Progress(fmt.Sprintf("publish a packet of %d bytes", size))
	c, err := p.connect(ctx, nil)
	if err != nil {
		return false
	}
	defer c.Close()
	name := p.prefix + "/size"
	head := packet.PublishSize(p.best, 1, len(name), 0, size) - size
	return p.publish(ctx, c, client.Message{Topic: name, QoS: 1, Payload: bytes.Repeat([]byte{'x'}, size-head)}) == nil
}
