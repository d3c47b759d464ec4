package cli_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/cli"
	"github.com/wirebird/wirebird/packet"
)

func TestPubSendsWhatItIsGiven(t *testing.T) {
	file := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		stdin string
		args  []string
		want  []string
	}{
		"message":      {"", []string{"-t", "a", "-m", "-x"}, []string{"a=-x q0"}},
		"QoS 1":        {"", []string{"-t", "a", "-m", "x", "-q", "1"}, []string{"a=x q1"}},
		"QoS 2, 5.0":   {"", []string{"-t", "a", "-m", "x", "-q", "2", "-V", "5"}, []string{"a=x q2"}},
		"null":         {"", []string{"-t", "a", "-n", "-V", "mqttv31"}, []string{"a= q0"}},
		"file":         {"", []string{"-t", "a", "-f", file}, []string{"a=from a file\n q0"}},
		"whole input":  {"one\ntwo\n", []string{"-t", "a", "-s"}, []string{"a=one\ntwo\n q0"}},
		"lines":        {"one\n\ntwo", []string{"-t", "a", "-l"}, []string{"a=one q0", "a= q0", "a=two q0"}},
		"lines, QoS 2": {"1\n2\n3\n", []string{"-t", "a", "-l", "-q", "2"}, []string{"a=1 q2", "a=2 q2", "a=3 q2"}},
		"no lines":     {"", []string{"-t", "a", "-l"}, nil},
		"repeated":     {"", []string{"-t", "a", "-m", "x", "--repeat", "2", "--repeat-delay", "0.001"}, []string{"a=x q0", "a=x q0"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := (&broker{}).start(t)
			status, out, errOut := b.run(tt.stdin, append([]string{"pub"}, tt.args...)...)
			if status != 0 || out != "" || errOut != "" {
				t.Errorf("status %d, %q, %q", status, out, errOut)
			}
			if got := b.published(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("published %q, want %q", got, tt.want)
			}
			first[*packet.Disconnect](b)
		})
	}
}

func TestPubSaysWhoItIs(t *testing.T) {
	b := (&broker{}).start(t)
	b.run("", "pub", "-t", "a", "-m", "x", "-r", "-i", "id", "-c", "-u", "user", "-P", "pw", "-k", "7",
		"--will-topic", "w", "--will-payload", "bye", "--will-qos", "1", "--will-retain",
		"-D", "connect", "receive-maximum", "9", "-D", "connect", "user-property", "k", "v",
		"-D", "will", "will-delay-interval", "3", "--property", "PUBLISH", "content-type", "text/plain",
		"-D", "publish", "user-property", "-t", "-m", "-D", "disconnect", "session-expiry-interval", "5")
	c := first[*packet.Connect](b)
	if c.Version != packet.V5 || string(c.ClientID) != "id" || c.CleanStart || string(c.Username) != "user" ||
		string(c.Password) != "pw" || c.KeepAlive != 7 || c.Properties.SessionExpiry != 0xFFFFFFFF ||
		c.Properties.ReceiveMax != 9 || len(c.Properties.User) != 1 {
		t.Errorf("got %v", c)
	}
	if w := c.Will; w == nil || string(w.Topic) != "w" || string(w.Payload) != "bye" || w.QoS != 1 || !w.Retain || w.Properties.WillDelay != 3 {
		t.Errorf("will %+v", c.Will)
	}
	m := first[*packet.Publish](b)
	if !m.Retain || string(m.Properties.ContentType) != "text/plain" || string(m.Properties.User[0].Key) != "-t" || string(m.Properties.User[0].Value) != "-m" {
		t.Errorf("got %v", m)
	}
	if d := first[*packet.Disconnect](b); d.Properties.SessionExpiry != 5 {
		t.Errorf("got %v", d)
	}
}

func TestPubPrintsPacketsForDebugging(t *testing.T) {
	b := (&broker{}).start(t)
	_, out, _ := b.run("", "pub", "-t", "a/b", "-m", "hello", "-q", "2", "-i", "me", "-d")
	want := `Client me sending CONNECT
Client me received CONNACK (0)
Client me sending PUBLISH (d0, q2, r0, m1, 'a/b', ... (5 bytes))
Client me received PUBREC (Mid: 1)
Client me sending PUBREL (m1)
Client me received PUBCOMP (Mid: 1, RC:0)
Client me sending DISCONNECT
`
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

func TestPubFails(t *testing.T) {
	for name, tt := range map[string]struct {
		broker *broker
		args   []string
		status int
		want   string
	}{
		"refused, 3.1.1": {&broker{code: packet.NotAuthorized}, nil, 5, "Connection error: Connection Refused: not authorised. Check --username and --pw, and what the server allows.\n"},
		"refused, 5.0":   {&broker{code: packet.BadUserNameOrPassword}, []string{"-V", "5"}, 134, "Connection error: Bad User Name or Password. Check --username and --pw.\n"},
		"old server":     {&broker{code: packet.UnsupportedProtocolVersion}, []string{"-V", "5"}, 132, "Connection error: Unsupported Protocol Version. Try connecting to an MQTT v5 broker, or use -V 311.\n"},
		"quietly":        {&broker{code: packet.NotAuthorized}, []string{"--quiet"}, 5, ""},
		"not accepted":   {&broker{refuse: packet.QuotaExceeded}, []string{"-V", "5", "-q", "1"}, 1, "Warning: Publish 1 failed: Quota exceeded.\n"},
		"hung up":        {&broker{hangUp: packet.PUBLISH}, []string{"-q", "1"}, 7, "Error: The connection was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			b := tt.broker.start(t)
			args := append([]string{"pub", "-t", "a"}, tt.args...)
			if !strings.Contains(name, "lines") {
				args = append(args, "-m", "x")
			}
			status, _, errOut := b.run("one\ntwo\n", args...)
			if status != tt.status || !strings.HasPrefix(errOut, tt.want) || tt.want == "" && errOut != "" {
				t.Errorf("status %d, %q; want %d, %q", status, errOut, tt.status, tt.want)
			}
		})
	}
}

func TestPubReportsABrokenInput(t *testing.T) {
	for _, flag := range []string{"-l", "-s"} {
		b := (&broker{}).start(t)
		_, port, _ := net.SplitHostPort(b.l.Addr().String())
		var errOut bytes.Buffer
		status := cli.Main([]string{"pub", "-h", "127.0.0.1", "-p", port, "-t", "a", flag}, brokenReader{}, &bytes.Buffer{}, &errOut)
		if status != 1 || !strings.Contains(errOut.String(), "read standard input") {
			t.Errorf("%s: status %d, %q", flag, status, errOut.String())
		}
	}
}
