package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/internal/cli"
	"github.com/wirebird/wirebird/packet"
)

func TestMain(m *testing.M) {
	called := os.Args[0]
	testscript.Main(leakFree{m}, map[string]func(){
		"wirebird": func() {
			os.Args[0] = called // the program says how it was called
			os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// leakFree runs the tests, which must leave no goroutine behind.
type leakFree struct{ *testing.M }

func (l leakFree) Run() int {
	code := l.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"misused": func(ts *testscript.TestScript, _ bool, args []string) { status(ts, 2, args) },
			"failed":  func(ts *testscript.TestScript, _ bool, args []string) { status(ts, 1, args) },
		},
		RequireUniqueNames: true,
	})
}

// status runs wirebird and checks its exit status.
func status(ts *testscript.TestScript, want int, args []string) {
	err := ts.Exec("wirebird", args...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != want {
		ts.Fatalf("wirebird %q: %v, want status %d", args, err, want)
	}
}

// broker is a server that does as a test says.
type broker struct {
	code    packet.ReasonCode // of CONNACK
	deny    bool              // every subscription
	refuse  packet.ReasonCode // of PUBACK
	hangUp  packet.Type       // closes when it comes
	deliver []*packet.Publish // after a SUBSCRIBE

	t       *testing.T
	l       net.Listener
	wg      sync.WaitGroup // serving goroutines
	mu      sync.Mutex
	seen    []packet.Packet // guarded by mu until wg is done
	version packet.Version  // guarded by mu
}

func (b *broker) start(t *testing.T) *broker {
	t.Helper()
	var err error
	if b.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.t = t
	b.wg.Go(func() {
		for {
			nc, err := b.l.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.serve(nc) })
		}
	})
	t.Cleanup(func() {
		b.l.Close()
		b.wg.Wait()
	})
	return b
}

func (b *broker) serve(nc net.Conn) {
	defer nc.Close()
	r := packet.NewReader(nc, packet.V311, 0)
	for {
		p, err := r.ReadPacket()
		if err != nil {
			return
		}
		p = packet.Clone(p)
		b.mu.Lock()
		b.seen = append(b.seen, p)
		if c, ok := p.(*packet.Connect); ok {
			b.version = c.Version
			r.SetVersion(c.Version)
		}
		v := b.version
		b.mu.Unlock()
		if p.Type() == b.hangUp || p.Type() == packet.DISCONNECT {
			return
		}
		for _, reply := range b.replies(p) {
			if _, err := nc.Write(reply.Append(nil, v)); err != nil {
				return
			}
		}
	}
}

func (b *broker) replies(p packet.Packet) []packet.Packet {
	switch p := p.(type) {
	case *packet.Connect:
		return []packet.Packet{&packet.Connack{Code: b.code}}
	case *packet.Publish:
		switch p.QoS {
		case 1:
			return []packet.Packet{&packet.Puback{ID: p.ID, Code: b.refuse}}
		case 2:
			return []packet.Packet{&packet.Pubrec{ID: p.ID, Code: b.refuse}}
		}
	case *packet.Pubrel:
		return []packet.Packet{&packet.Pubcomp{ID: p.ID}}
	case *packet.Subscribe:
		ack := &packet.Suback{ID: p.ID}
		for _, f := range p.Filters {
			code := packet.ReasonCode(f.QoS)
			if b.deny {
				code = packet.UnspecifiedError
			}
			ack.Codes = append(ack.Codes, code)
		}
		out := []packet.Packet{ack}
		for _, m := range b.deliver {
			out = append(out, m)
		}
		return out
	case *packet.Unsubscribe:
		return []packet.Packet{&packet.Unsuback{ID: p.ID, Codes: make([]packet.ReasonCode, len(p.Filters))}}
	}
	return nil
}

// run runs a command against the broker and waits until that has seen all.
func (b *broker) run(stdin string, args ...string) (status int, stdout, stderr string) {
	_, port, err := net.SplitHostPort(b.l.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	args = append(args, "-h", "127.0.0.1", "-p", port)
	var out, errOut bytes.Buffer
	status = cli.Main(args, strings.NewReader(stdin), &out, &errOut)
	b.l.Close()
	b.wg.Wait()
	return status, out.String(), errOut.String()
}

// first returns the first packet of a type that the broker has seen.
func first[T packet.Packet](b *broker) T {
	b.t.Helper()
	var zero T
	for _, p := range b.seen {
		if got, ok := p.(T); ok {
			return got
		}
	}
	b.t.Fatalf("no %T among %v", zero, b.seen)
	return zero
}

// published lists topic and payload of each PUBLISH.
func (b *broker) published() []string {
	var out []string
	for _, p := range b.seen {
		if m, ok := p.(*packet.Publish); ok {
			out = append(out, string(m.Topic)+"="+string(m.Payload)+" q"+strconv.Itoa(int(m.QoS)))
		}
	}
	return out
}

// brokenReader is a standard input that fails.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
