package crash

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// inspect reads the retained messages with a client of its own, as one that comes for the
// first time. A connection that breaks, because the broker is killed, says nothing.
func inspect(ctx context.Context, w *world, number int) {
	d := net.Dialer{Timeout: time.Second}
	nc, err := d.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	_ = nc.SetDeadline(time.Now().Add(w.patience))
	r := packet.NewReader(nc, packet.V311, 0)
	tell := func(p packet.Packet) { _, _ = nc.Write(p.Append(nil, packet.V311)) } // an error shows in r

	tell(&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: fmt.Appendf(nil, "auditor-%d", number)})
	if p, err := r.ReadPacket(); err != nil || p.Type() != packet.CONNACK || p.(*packet.Connack).Code != packet.Success {
		return
	}
	a := w.ledger.audit()
	tell(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("keep/#"), QoS: 0}}})
	subscribed, pinged := false, false
	for {
		p, err := r.ReadPacket()
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil {
			a.end()
		}
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packet.Publish:
			if p.Retain {
				a.retained(string(p.Topic), p.Payload)
			}
		case *packet.Suback:
			subscribed = true
		case *packet.Pingresp:
			a.end()
			tell(&packet.Disconnect{})
			return
		}
		if subscribed && !pinged && len(a.missing()) == 0 {
			tell(&packet.Pingreq{}) // so that what is on its way comes before we leave
			pinged = true
		}
	}
}
