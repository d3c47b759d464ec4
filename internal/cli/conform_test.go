package cli_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/cli"
	"github.com/wirebird/wirebird/packet"
)

// conform runs wirebird conform against a broker that lets clients in, grants
// subscriptions and ends the connection at PINGREQ when it is told to.
func conform(t *testing.T, b *broker, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	b.start(t)
	var out, errOut bytes.Buffer
	status = cli.Main(append([]string{"conform", b.l.Addr().String(), "--timeout", "20s"}, args...), strings.NewReader(""), &out, &errOut)
	b.l.Close()
	b.wg.Wait()
	return status, out.String(), errOut.String()
}

func TestConformTellsByItsStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		b      *broker
		args   []string
		status int
		out    []string // begin a line, in this order
		errOut string
	}{
		"all pass": {&broker{}, []string{"--run", "suback-codes-in-order"}, 0,
			[]string{"PASS MQTT-3.8.4-6: ", "PASS MQTT-3.9.3-1: ", "2 passed, 0 failed, 0 skipped"}, ""},
		"one fails": {&broker{hangUp: packet.PINGREQ}, []string{"--run", "^(pingreq|suback-codes-in-order)$"}, 1,
			[]string{"PASS MQTT-3.8.4-6: ", "FAIL MQTT-3.12.4-1: ", "    FAIL pingreq (", "      a> PINGREQ", "         c000",
				"      a< the broker closed the connection, expected PINGRESP", "2 passed, 1 failed, 0 skipped"}, "1 statement fails"},
		"one is skipped": {&broker{}, []string{"--run", "websocket-text"}, 0,
			[]string{"SKIP MQTT-6.0.0-1: no address of a WebSocket", "0 passed, 0 failed, 1 skipped"}, ""},
		"nobody is let in": {&broker{code: packet.NotAuthorized}, []string{"--run", "pingreq"}, 0,
			[]string{"SKIP MQTT-3.12.4-1: the broker does not let us in", "0 passed, 0 failed, 1 skipped"}, ""},
		"of 3.1.1": {&broker{}, []string{"--mqtt", "3.1.1", "--run", "MQTT-3.9.3-1"}, 0,
			[]string{"PASS MQTT-3.8.4-5: ", "PASS MQTT-3.9.3-1: ", "2 passed, 0 failed, 0 skipped"}, ""},
		"of 3.1": {&broker{}, []string{"--mqtt", "3.1", "--run", "suback-codes-in-order"}, 0,
			[]string{"PASS MQTT31-3.9-granted: ", "1 passed, 0 failed, 0 skipped"}, ""},
		"at length": {&broker{}, []string{"-v", "--run", "suback-codes-in-order"}, 0,
			[]string{"PASS MQTT-3.8.4-6: ", "    PASS suback-codes-in-order (", "      a> SUBSCRIBE id=1 ", "      a< SUBACK id=1 q2 q0 q1 q1 q0", "         9008",
				"PASS MQTT-3.9.3-1: ", "    PASS suback-codes-in-order: see MQTT-3.8.4-6"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errOut := conform(t, tt.b, tt.args...)
			if status != tt.status || !strings.Contains(errOut, tt.errOut) || (errOut == "") != (tt.errOut == "") {
				t.Errorf("status %d, %q; want %d, %q", status, errOut, tt.status, tt.errOut)
			}
			rest := strings.Split(out, "\n")
			for _, want := range tt.out {
				for len(rest) > 0 && !strings.HasPrefix(rest[0], want) {
					rest = rest[1:]
				}
				if len(rest) == 0 {
					t.Fatalf("no line %q, or out of order, in\n%s", want, out)
				}
				rest = rest[1:]
			}
			if name == "all pass" && strings.Contains(out, "a> ") {
				t.Errorf("what passes is told at length without -v:\n%s", out)
			}
		})
	}
}

func TestConformWritesJSON(t *testing.T) {
	status, out, _ := conform(t, &broker{hangUp: packet.PINGREQ}, "--json", "--run", "pingreq")
	dec := json.NewDecoder(strings.NewReader(out))
	var statement struct {
		ID, Outcome string
		Checks      []struct {
			Name, Reason string
			Events       []struct{ Conn, Kind, Text, Hex string }
		}
	}
	var last struct {
		Summary struct{ Passed, Failed, Skipped int }
	}
	if err := dec.Decode(&statement); err != nil {
		t.Fatal(err)
	}
	if err := dec.Decode(&last); err != nil || dec.More() {
		t.Fatalf("%v, more: %v", err, dec.More())
	}
	if status != 1 || statement.ID != "MQTT-3.12.4-1" || statement.Outcome != "FAIL" || len(statement.Checks) != 1 || last.Summary.Failed != 1 {
		t.Fatalf("status %d:\n%s", status, out)
	}
	c := statement.Checks[0]
	if c.Reason != "a< the broker closed the connection, expected PINGRESP" || len(c.Events) < 4 || c.Events[1].Kind != "received" || c.Events[1].Hex != "2003000000" {
		t.Errorf("got %+v", c)
	}
}
