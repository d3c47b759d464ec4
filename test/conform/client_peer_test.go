package conform

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// peer is the server's end of a connection of a client. A check drives it.
type peer struct {
	t    *trial
	nc   net.Conn
	l    *link
	in   chan seen     // closed when the client has closed
	done chan struct{} // closed when nothing reads any more
	raw  []byte        // the bytes of the last packet
	at   time.Time     // when it came
}

// seen is what the client has sent.
type seen struct {
	packet.Packet
	raw []byte
	err error // the bytes are no packet
	at  time.Time
}

// open is the client's way to the server.
func (t *trial) open(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	t.serve(far)
	return near, nil
}

// serve makes far, the server's end, a peer.
func (t *trial) serve(far net.Conn) {
	p := &peer{t: t, nc: far, l: &link{v: t.v, client: far, known: map[string]byte{}}, in: make(chan seen, 5000), done: make(chan struct{})}
	t.mu.Lock()
	t.peers = append(t.peers, p)
	p.l.count = len(t.peers) // for faults of a later connection
	t.mu.Unlock()
	go p.read()
	t.fresh <- p
}

// read takes the client's packets, each as the fault wants it.
func (p *peer) read() {
	defer close(p.done)
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := p.nc.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			size := frameSize(buf)
			if size == 0 || size > len(buf) {
				break
			}
			p.take(slices.Clone(buf[:size]))
			buf = buf[size:]
		}
		if err != nil {
			break
		}
	}
	if !p.t.fault.deaf {
		close(p.in)
	}
}

func (p *peer) take(b []byte) {
	all := [][]byte{b}
	if fn := p.t.fault.fromClient; fn != nil {
		q, _, err := packet.Parse(p.t.v, b)
		if err != nil {
			q = nil
		}
		all = fn(p.l, q, b)
	}
	for _, b := range all {
		q, _, err := packet.Parse(p.t.v, b)
		p.in <- seen{q, b, err, time.Now()}
	}
}

// drain takes what the client still sends when the check is over.
func (p *peer) drain() {
	for {
		select {
		case <-p.in:
		case <-p.done:
			return
		}
	}
}

// next is the next connection that the client opens.
func (t *trial) next() *peer {
	select {
	case p := <-t.fresh:
		return p
	case <-time.After(time.Hour):
		t.fail("the client opens no connection")
		return nil
	}
}

// silence is how long the client is waited for.
const silence = time.Minute

// await returns the next packet; want is for the message when none comes.
func (p *peer) await(want string) packet.Packet {
	select {
	case s, ok := <-p.in:
		switch {
		case !ok:
			p.t.fail("the client has closed, expected %s", want)
		case s.err != nil:
			p.t.fail("the client sends % X, which breaks the format: %v", s.raw[:min(40, len(s.raw))], s.err)
		}
		p.raw, p.at = s.raw, s.at
		return s.Packet
	case <-time.After(silence):
		p.t.fail("nothing came, expected %s", want)
	}
	return nil
}

// expect wants a packet of a type next.
func (p *peer) expect(want packet.Type) packet.Packet {
	q := p.await(want.String())
	if q.Type() != want {
		p.t.fail("%s came, expected %v", script.Format(q), want)
	}
	return q
}

// want expects the packet of a line next.
func (p *peer) want(format string, args ...any) packet.Packet {
	line := fmt.Sprintf(format, args...)
	q := p.await(line)
	if !matches(line, q) {
		p.t.fail("%s came, expected %s", script.Format(q), line)
	}
	return q
}

func matches(line string, q packet.Packet) bool {
	steps, err := script.Parse("c< " + line)
	if err != nil {
		panic(fmt.Sprintf("the check itself is wrong: %s: %v", line, err))
	}
	return steps[0].Matches(q)
}

// publish wants a PUBLISH next and returns it. The packet identifier may be any.
func (p *peer) publish(format string, args ...any) *packet.Publish {
	line := fmt.Sprintf(format, args...)
	if !strings.HasPrefix(line, "q0") && !strings.Contains(line, " id=") {
		line = "id=* " + line
	}
	return p.want("PUBLISH %s", line).(*packet.Publish)
}

// send sends the packet of a line.
func (p *peer) send(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	q, err := script.ParsePacket(line)
	if err != nil {
		panic(fmt.Sprintf("the check itself is wrong: %s: %v", line, err))
	}
	p.bytes(q.Append(nil, p.t.v))
}

// bytes sends what need not be a packet. An error shows up when the answer is read.
func (p *peer) bytes(b []byte) {
	all := [][]byte{b}
	if fn := p.t.fault.fromBroker; fn != nil {
		q, _, err := packet.Parse(p.t.v, b)
		if err != nil {
			q = nil
		}
		all = fn(p.l, q, b)
	}
	for _, b := range all {
		p.nc.Write(b)
	}
}

// quiet wants the client to have nothing more to say for now.
func (p *peer) quiet() {
	synctest.Wait()
	select {
	case s, ok := <-p.in:
		if !ok {
			p.t.fail("the client has closed, expected nothing")
		}
		p.t.fail("% X came, expected nothing", s.raw[:min(40, len(s.raw))])
	default:
	}
}

// closed wants the end of the connection and nothing before it.
func (p *peer) closed() {
	select {
	case s, ok := <-p.in:
		if ok {
			p.t.fail("% X came, expected the client to close", s.raw[:min(40, len(s.raw))])
		}
	case <-time.After(silence):
		p.t.fail("the client keeps the connection open, expected it to close")
	}
}

// dropped wants the client to close, in MQTT 5.0 after a DISCONNECT of 0x80 or above.
func (p *peer) dropped() {
	if p.t.is5() {
		if d := p.expect(packet.DISCONNECT).(*packet.Disconnect); d.Code < 0x80 {
			p.t.fail("DISCONNECT %v came, expected a reason code of 0x80 or above", d.Code)
		}
	}
	p.closed()
}

// cut ends the connection on the server's side and waits until the client has noticed.
func (p *peer) cut() {
	p.nc.Close()
	<-p.done
}
