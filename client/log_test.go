package client_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

// logbook keeps lines: level, message and attributes, without the time.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// has checks that the lines were logged in this order.
func (l *logbook) has(t *testing.T, lines ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.buf.String()
	for _, line := range lines {
		_, after, ok := strings.Cut(rest, line+"\n")
		if !ok {
			t.Errorf("%q is not in its place in\n%s", line, l.buf.String())
			return
		}
		rest = after
	}
}

func TestTheLoggerIsToldWhatNoCallReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &logbook{}
		release := make(chan struct{})
		c, s, p, _ := connect(t, client.Options{Logger: book.logger(), Password: []byte("secret"), Username: "alice", Handlers: []client.Handler{
			{Filter: "slow", Queue: 1, Func: func(*client.Client, *client.Message) { <-release }},
			{Filter: "typed", Func: client.Typed(client.JSON{}, func(*client.Client, *client.Message, int) {})},
		}}, &packet.Connack{})
		done := async(func() error { _, err := c.Subscribe(t.Context(), client.Subscription{Filter: "a"}); return err })
		p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{0}})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for range 5 {
			p.send(&packet.Publish{Topic: []byte("slow"), Payload: []byte("confidential")})
		}
		p.send(&packet.Publish{Topic: []byte("typed"), Payload: []byte("confidential")})
		synctest.Wait()
		p.nc.Close()
		s.accept(&packet.Connack{Code: packet.ServerBusy})
		p, _ = s.accept(&packet.Connack{})
		p.send(&packet.Suback{ID: expect[*packet.Subscribe](p).ID, Codes: []packet.ReasonCode{packet.NotAuthorized}})
		synctest.Wait()
		close(release)
		book.has(t,
			`level=INFO msg=connected client_id=test version=5.0 session_present=false`,
			`level=WARN msg="handler too slow, messages dropped" filter=slow queue=1`,
			`level=WARN msg="connection lost" client_id=test error="read: EOF"`,
			`level=INFO msg="no connection" client_id=test attempt=1 error="connect: mqtt: server busy"`,
			`level=INFO msg=connected client_id=test version=5.0 session_present=false`,
			`level=WARN msg="subscription lost" filter=a`)
		if n := strings.Count(book.buf.String(), "handler too slow"); n != 1 {
			t.Errorf("one overflow was logged %d times", n)
		}
		if text := book.buf.String(); !strings.Contains(text, `msg="payload not understood" topic=typed`) || strings.Contains(text, "confidential") || strings.Contains(text, "secret") {
			t.Errorf("logged\n%s", text)
		}
	})
}

func TestStoredMessagesThatAreGivenUpAreLogged(t *testing.T) {
	dir := t.TempDir()
	first := offline(t, client.OutboxOptions{Dir: dir})
	for _, topic := range []string{"welcome", "refused"} {
		if _, err := first.PublishAsync(t.Context(), client.Message{Topic: topic, QoS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	first.Close()
	synctest.Test(t, func(t *testing.T) {
		book := &logbook{}
		_, _, p, _ := connect(t, client.Options{Logger: book.logger(), Outbox: &client.OutboxOptions{Dir: dir}}, &packet.Connack{})
		p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID})
		p.send(&packet.Puback{ID: expect[*packet.Publish](p).ID, Code: packet.QuotaExceeded})
		synctest.Wait()
		book.has(t, `level=WARN msg="stored message given up" topic=refused error="mqtt: quota exceeded"`)
		if strings.Contains(book.buf.String(), "topic=welcome") {
			t.Errorf("logged\n%s", &book.buf)
		}
	})
	second := offline(t, client.OutboxOptions{Dir: dir})
	if _, err := second.PublishAsync(t.Context(), client.Message{Topic: "old", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	second.Close()
	synctest.Test(t, func(t *testing.T) { // whose clock is years behind the one above
		book := &logbook{}
		o := client.OutboxOptions{Dir: dir, MaxAge: time.Nanosecond}
		<-time.After(100 * 365 * 24 * time.Hour)
		c, _, _, _ := connect(t, client.Options{Logger: book.logger(), Outbox: &o}, &packet.Connack{})
		synctest.Wait()
		c.Close()
		book.has(t, `level=WARN msg="stored message given up" topic=old error="message is too old"`)
	})
}
