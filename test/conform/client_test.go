package conform

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/conform"
	"github.com/wirebird/wirebird/packet"
)

// clientCheck is a conversation of our client with a scripted server that fails when the
// statements it names are broken. It runs in a bubble of synctest: waiting costs nothing.
type clientCheck struct {
	name          string
	v31, v311, v5 string // statements, as the checks of a broker name them
	run           func(t *trial)
	// broken change what is sent, in the newest version. Each must make the check fail.
	broken map[string]fault
}

// clientChecks are all there are.
func clientChecks() []clientCheck {
	return slices.Concat(clientStringChecks(), clientHeaderChecks(), clientConnectChecks(), clientKeepAliveChecks(),
		clientSessionChecks(), clientAuthChecks(), clientPublishChecks(), clientLimitChecks(), clientAliasChecks(),
		clientQoSChecks(), clientResendChecks(), clientOrderChecks(), clientFilterChecks(), clientEndChecks(), clientWebSocketChecks())
}

func (c *clientCheck) ids(v packet.Version) []string {
	text, prefix := c.v5, "MQTT-"
	switch v {
	case packet.V31:
		text, prefix = c.v31, "MQTT31-"
	case packet.V311:
		text = c.v311
	}
	ids := strings.Fields(text)
	for i := range ids {
		ids[i] = prefix + ids[i]
	}
	return ids
}

// newest is the last version that the check has statements of.
func (c *clientCheck) newest() packet.Version {
	newest := packet.V31
	for _, v := range conform.Versions() {
		if len(c.ids(v)) > 0 {
			newest = v
		}
	}
	return newest
}

// play runs the check and returns why it failed, "" if it did not.
func (c *clientCheck) play(t *testing.T, v packet.Version, f fault) (reason string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), eternity)
		tr := &trial{ctx: ctx, v: v, fault: f, fresh: make(chan *peer, 100), reason: "the check ended early"}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.run(tr)
			tr.reason = ""
		}()
		<-done
		cancel()
		tr.close()
		reason = tr.reason
	})
	return reason
}

// eternity ends what waits for ever. It is the bubble's time, of which there is plenty.
const eternity = 1000 * time.Hour

// trial is one run of a check. Its methods end the check when something is not as they
// want it.
type trial struct {
	ctx    context.Context
	v      packet.Version
	fault  fault
	fresh  chan *peer // connections the client has opened
	reason string
	wg     sync.WaitGroup // attempts to connect

	mu      sync.Mutex
	clients []*client.Client
	peers   []*peer
	sockets []*webSocketPeer
	got     []*client.Message // that reached OnMessage
}

// fail ends the check.
func (t *trial) fail(format string, args ...any) {
	t.reason = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (t *trial) is5() bool { return t.v == packet.V5 }

// pick chooses by version.
func (t *trial) pick(v3, v5 string) string {
	if t.is5() {
		return v5
	}
	return v3
}

// close ends clients and connections, and waits for them.
func (t *trial) close() {
	t.wg.Wait()
	t.mu.Lock()
	clients, peers := t.clients, t.peers
	t.mu.Unlock()
	for _, p := range peers {
		go p.drain()
	}
	for _, c := range clients {
		c.Close()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		p.nc.Close()
		<-p.done
	}
	for _, w := range t.sockets {
		w.nc.Close()
		<-w.done
	}
}

// dial begins to connect with the options, whose zero values are replaced by what a check
// wants. The outcome comes later.
func (t *trial) dial(o client.Options) (*peer, <-chan error) { return t.dialAs(t.options(o)) }

// dialAs is dial with options that are complete.
func (t *trial) dialAs(o client.Options) (*peer, <-chan error) {
	done := make(chan error, 1)
	t.wg.Go(func() {
		c, err := client.Connect(t.ctx, o)
		if err == nil {
			t.mu.Lock()
			t.clients = append(t.clients, c)
			t.mu.Unlock()
		}
		done <- err
	})
	return t.next(), done
}

func (t *trial) options(o client.Options) client.Options {
	o.Version, o.Dial = t.v, t.open
	if o.ClientID == "" {
		o.ClientID = "c"
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = -1
	}
	if o.OnMessage == nil {
		o.OnMessage = func(_ *client.Client, m *client.Message) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.got = append(t.got, m)
		}
	}
	return o
}

// connect connects a client. The server answers with the line, CONNACK success if it is "".
func (t *trial) connect(o client.Options, ack string) (*client.Client, *peer) {
	p, done := t.dial(o)
	p.expect(packet.CONNECT)
	if ack == "" {
		ack = "CONNACK success"
	}
	p.send("%s", ack)
	if err := <-done; err != nil {
		t.fail("the client does not connect: %v", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clients[len(t.clients)-1], p
}

// resume is connect for a client whose session the server keeps.
func (t *trial) resume(o client.Options) (*client.Client, *peer) {
	if t.is5() {
		o.SessionExpiry = -1
	}
	return t.connect(o, "")
}

// again takes the connection that the client makes after it has lost one.
func (t *trial) again(ack string) *peer {
	p := t.next()
	p.expect(packet.CONNECT)
	p.send("%s", ack)
	synctest.Wait() // until the client has read it
	return p
}

// publish sends a message and does not wait for its acknowledgement.
func (t *trial) publish(c *client.Client, m client.Message) *client.Token {
	token, err := c.PublishAsync(t.soon(), m)
	if err != nil {
		t.fail("publish: %v", err)
	}
	return token
}

// send is publish for a topic, QoS and payload.
func (t *trial) send(c *client.Client, topic string, qos byte, payload string) *client.Token {
	return t.publish(c, client.Message{Topic: topic, QoS: qos, Payload: []byte(payload)})
}

// later runs what waits for an answer.
func (t *trial) later(f func() error) <-chan error {
	done := make(chan error, 1)
	t.wg.Go(func() { done <- f() })
	return done
}

// subscribe begins to subscribe.
func (t *trial) subscribe(c *client.Client, subs ...client.Subscription) <-chan error {
	return t.later(func() error {
		_, err := c.Subscribe(t.ctx, subs...)
		return err
	})
}

// messages are those that have reached the application, as topic=payload.
func (t *trial) messages() []string {
	synctest.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []string
	for _, m := range t.got {
		list = append(list, m.Topic+"="+string(m.Payload))
	}
	return list
}

// handed wants these messages, and no others, to have reached the application.
func (t *trial) handed(want ...string) {
	if got := t.messages(); !slices.Equal(got, want) {
		t.fail("the application has %q, expected %q", got, want)
	}
}

// soon ends what should return at once.
func (t *trial) soon() context.Context {
	ctx, cancel := context.WithTimeout(t.ctx, silence)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// refused wants an error: what was asked for must not be sent.
func (t *trial) refused(what string, err error) {
	if err == nil {
		t.fail("the client takes %s, expected an error", what)
	}
}

// clientOutcomes are those of all checks of a version by name: "" or why it failed.
func clientOutcomes(t *testing.T, v packet.Version) map[string]string {
	outcome := map[string]string{}
	for _, c := range clientChecks() {
		if len(c.ids(v)) > 0 {
			outcome[c.name] = c.play(t, v, fault{})
		}
	}
	return outcome
}

// The client keeps each statement that binds it; those without a check say why.
func TestClientConformance(t *testing.T) {
	for _, v := range conform.Versions() {
		t.Run(v.String(), func(t *testing.T) {
			outcome := clientOutcomes(t, v)
			statements, err := conform.Statements(v)
			if err != nil {
				t.Fatal(err)
			}
			named := map[string]bool{}
			for _, s := range statements {
				t.Run(s.ID, func(t *testing.T) {
					checks := clientChecksOf(v, s.ID)
					for _, name := range checks {
						if why := outcome[name]; why != "" {
							t.Errorf("%s: %s", name, why)
						}
					}
					switch {
					case s.BindsClient() && len(checks) == 0 && s.WhyClient == "":
						t.Error("neither a check of the client nor a reason")
					case len(checks) > 0 && s.WhyClient != "":
						t.Error("a check of the client, and a reason for having none")
					}
				})
				named[s.ID] = true
			}
			for _, c := range clientChecks() {
				for _, id := range c.ids(v) {
					if !named[id] {
						t.Errorf("%s names %s, which is not in the table", c.name, id)
					}
				}
			}
		})
	}
}

// clientChecksOf lists the names of the checks of a statement.
func clientChecksOf(v packet.Version, id string) []string {
	var names []string
	for _, c := range clientChecks() {
		if slices.Contains(c.ids(v), id) {
			names = append(names, c.name)
		}
	}
	return names
}

// Each check of the client sees clients that are broken, in each of its ways.
func TestClientChecksSeeBrokenClients(t *testing.T) {
	for _, c := range clientChecks() {
		if len(c.broken) == 0 {
			t.Errorf("nothing breaks %s", c.name)
		}
		for name, f := range c.broken {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				why := c.play(t, c.newest(), f)
				t.Log(why)
				if why == "" {
					t.Error("the check passes, want it to fail")
				}
			})
		}
	}
}
