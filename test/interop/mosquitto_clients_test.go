package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mosquittoVersions are the values of -V: MQTT 3.1, 3.1.1 and 5.0.
var mosquittoVersions = []string{"31", "311", "5"}

// mosquittoAddress is how mosquitto_pub and mosquitto_sub are told where the
// listener is. They speak no WebSocket.
func mosquittoAddress(b *broker, scheme string) []string {
	u := b.url(scheme)
	if scheme == "unix" {
		return []string{"--unix", u.Path}
	}
	return []string{"-h", u.Hostname(), "-p", u.Port()}
}

// subscribed starts mosquitto_sub and returns once the broker has granted the
// subscription. It prints its messages as "topic|qos|retained|payload". It
// would keep the line that tells of the subscription in its buffer until a
// message comes; stdbuf stops that.
func subscribed(t *testing.T, address []string, args ...string) *program {
	t.Helper()
	p := start(t, command{
		path: need(t, "stdbuf"),
		args: slices.Concat([]string{"-oL", need(t, "mosquitto_sub")}, address, []string{"-d", "-F", "%t|%q|%r|%p"}, args),
	})
	p.expect(`^Subscribed \(mid: \d+\): [012]`)
	return p
}

// publish runs mosquitto_pub to its end.
func publish(t *testing.T, address []string, args ...string) {
	t.Helper()
	start(t, command{path: need(t, "mosquitto_pub"), args: slices.Concat(address, args)}).succeed()
}

func TestMosquittoClientsExchangeAtEachQoS(t *testing.T) {
	for _, version := range mosquittoVersions {
		t.Run("MQTT "+version, func(t *testing.T) {
			tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
			sub := subscribed(t, tcp, "-V", version, "-q", "2", "-t", "data/#")
			for qos := range 3 {
				q := strconv.Itoa(qos)
				publish(t, tcp, "-V", version, "-q", q, "-t", "data/"+q, "-m", "at QoS "+q)
				sub.expect(fmt.Sprintf(`^data/%d\|%d\|0\|at QoS %d$`, qos, qos, qos))
			}
		})
	}
}

func TestMosquittoSubscriberGetsTheLowerQoS(t *testing.T) {
	tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
	sub := subscribed(t, tcp, "-V", "5", "-q", "1", "-t", "data")
	publish(t, tcp, "-V", "5", "-q", "2", "-t", "data", "-m", "two")
	sub.expect(`^data\|1\|0\|two$`)
	publish(t, tcp, "-V", "5", "-q", "0", "-t", "data", "-m", "zero")
	sub.expect(`^data\|0\|0\|zero$`)
}

func TestMosquittoRetainedMessageWaitsForSubscribers(t *testing.T) {
	for _, version := range mosquittoVersions {
		t.Run("MQTT "+version, func(t *testing.T) {
			tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
			live := subscribed(t, tcp, "-V", version, "-q", "1", "-t", "state/+")
			publish(t, tcp, "-V", version, "-q", "1", "-r", "-t", "state/door", "-m", "open")
			live.expect(`^state/door\|1\|0\|open$`)
			late := subscribed(t, tcp, "-V", version, "-q", "1", "-t", "state/+")
			late.expect(`^state/door\|1\|1\|open$`)

			publish(t, tcp, "-V", version, "-r", "-n", "-t", "state/door")
			live.expect(`^state/door\|0\|0\|$`)
			last := subscribed(t, tcp, "-V", version, "-q", "1", "-t", "state/+")
			publish(t, tcp, "-V", version, "-t", "state/window", "-m", "shut")
			if got := last.expect(`^(state/.*)$`)[1]; got != "state/window|0|0|shut" {
				t.Errorf("after the retained message was cleared a new subscriber gets %q first", got)
			}
		})
	}
}

func TestMosquittoWillIsPublishedWhenTheClientIsKilled(t *testing.T) {
	for _, version := range mosquittoVersions {
		t.Run("MQTT "+version, func(t *testing.T) {
			tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
			watcher := subscribed(t, tcp, "-V", version, "-q", "2", "-t", "gone/#")
			will := []string{"-V", version, "-t", "work", "--will-topic", "gone/a", "--will-payload", "without a word",
				"--will-qos", "1", "--will-retain"}
			subscribed(t, tcp, will...).kill()
			watcher.expect(`^gone/a\|1\|0\|without a word$`)
			subscribed(t, tcp, "-V", version, "-t", "gone/#", "-q", "1").expect(`^gone/a\|1\|1\|without a word$`)
		})
	}
}

func TestMosquittoPersistentSessionQueuesMessages(t *testing.T) {
	for _, version := range mosquittoVersions {
		t.Run("MQTT "+version, func(t *testing.T) {
			tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
			args := []string{"-V", version, "-c", "-i", "sleeper", "-q", "2", "-t", "queue/#"}
			if version == "5" {
				args = append(args, "-x", "300")
			}
			subscribed(t, tcp, args...).kill()
			// QoS 2 comes last: the client shows those at PUBREL, after all of QoS 1.
			for i, qos := range []string{"1", "1", "1", "2", "2"} {
				publish(t, tcp, "-V", version, "-q", qos, "-t", "queue/a", "-m", strconv.Itoa(i))
			}
			again := start(t, command{path: need(t, "mosquitto_sub"),
				args: slices.Concat(tcp, args, []string{"-C", "5", "-F", "%q|%p"})})
			if got, want := again.succeed(), "1|0\n1|1\n1|2\n2|3\n2|4\n"; got != want {
				t.Errorf("queued messages arrive as %q, want %q", got, want)
			}
		})
	}
}

func TestMosquittoPubSendsLinesInOrder(t *testing.T) {
	tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
	const count = 500
	var lines strings.Builder
	for i := range count {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	for qos := range 3 {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			if underTest() == mosquitto && qos == 2 {
				t.Skip("Mosquitto 2.0.11 exceeds its own client's Receive Maximum")
			}
			topic, q := fmt.Sprintf("lines/%d", qos), strconv.Itoa(qos)
			// The retained message shows that both subscriptions are in place.
			publish(t, tcp, "-V", "5", "-r", "-t", "ready/"+q, "-m", "ready")
			sub := start(t, command{path: need(t, "mosquitto_sub"),
				args: slices.Concat(tcp, []string{"-V", "5", "-q", q, "-t", topic, "-t", "ready/" + q, "-C", strconv.Itoa(count + 1)})})
			sub.expect(`^ready$`)
			start(t, command{path: need(t, "mosquitto_pub"), stdin: strings.NewReader(lines.String()),
				args: slices.Concat(tcp, []string{"-V", "5", "-q", q, "-t", topic, "-l"})}).succeed()
			if got, want := sub.succeed(), "ready\n"+lines.String(); got != want {
				t.Errorf("%d lines became %q", count, got)
			}
		})
	}
}

func TestMosquittoClientsUseAUnixSocket(t *testing.T) {
	b := startBroker(t, brokerOptions{listeners: []string{"tcp", "unix"}})
	unix, tcp := mosquittoAddress(b, "unix"), mosquittoAddress(b, "tcp")
	local := subscribed(t, unix, "-V", "5", "-q", "1", "-t", "mixed")
	remote := subscribed(t, tcp, "-V", "5", "-q", "1", "-t", "mixed")
	for from, address := range map[string][]string{"socket": unix, "network": tcp} {
		publish(t, address, "-V", "5", "-q", "1", "-t", "mixed", "-m", from)
		local.expect(`^mixed\|1\|0\|` + from + `$`)
		remote.expect(`^mixed\|1\|0\|` + from + `$`)
	}
}

func TestMosquittoShareGroupDividesTheWork(t *testing.T) {
	for _, version := range mosquittoVersions {
		t.Run("MQTT "+version, func(t *testing.T) {
			tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
			args := []string{"-V", version, "-q", "1", "-t", "$share/workers/jobs/#", "-t", "end"}
			const count = 40
			workers := []*program{subscribed(t, tcp, args...), subscribed(t, tcp, args...)}
			var jobs strings.Builder
			for i := range count {
				fmt.Fprintln(&jobs, i)
			}
			start(t, command{path: need(t, "mosquitto_pub"), stdin: strings.NewReader(jobs.String()),
				args: slices.Concat(tcp, []string{"-V", version, "-q", "1", "-t", "jobs/a", "-l"})}).succeed()
			publish(t, tcp, "-V", version, "-q", "1", "-t", "end", "-m", "end")
			done := map[string]int{}
			for i, w := range workers {
				own := 0
				for {
					m := w.expect(`^(jobs/a|end)\|1\|0\|(.*)$`)
					if m[1] == "end" {
						break
					}
					own++
					done[m[2]]++
				}
				if own == 0 {
					t.Errorf("worker %d of the group has no job", i)
				}
			}
			for job, times := range done {
				if times != 1 {
					t.Errorf("job %s is done %d times", job, times)
				}
			}
			if len(done) != count {
				t.Errorf("%d jobs are done, want %d", len(done), count)
			}
		})
	}
}

func TestMosquittoClientsUseTLS(t *testing.T) {
	pair := newCertificate(t)
	b := startBroker(t, brokerOptions{listeners: []string{"tls"}, pair: pair})
	address := append(mosquittoAddress(b, "tls"), "--cafile", pair.caFile)
	for _, version := range []string{"tlsv1.2", "tlsv1.3"} {
		t.Run(version, func(t *testing.T) {
			secure := slices.Concat(address, []string{"--tls-version", version})
			sub := subscribed(t, secure, "-V", "5", "-q", "1", "-t", version)
			publish(t, secure, "-V", "311", "-q", "1", "-t", version, "-m", "secret")
			sub.expect(`\|1\|0\|secret$`)
		})
	}
	t.Run("another authority", func(t *testing.T) {
		stranger := append(mosquittoAddress(b, "tls"), "--cafile", newCertificate(t).caFile)
		p := start(t, command{path: need(t, "mosquitto_pub"), args: append(stranger, "-t", "a", "-m", "b")})
		if code := p.wait(); code == 0 {
			t.Error("a client that does not trust the certificate connects")
		}
	})
}

func TestMosquittoSendsALargePayload(t *testing.T) {
	tcp := mosquittoAddress(startBroker(t, brokerOptions{}), "tcp")
	path := filepath.Join(t.TempDir(), "payload")
	want := strings.Repeat("0123456789abcdef", 512*1024/16)
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	for qos := range 3 {
		q := strconv.Itoa(qos)
		publish(t, tcp, "-V", "5", "-r", "-q", q, "-t", "large/"+q, "-f", path)
		sub := start(t, command{path: need(t, "mosquitto_sub"),
			args: slices.Concat(tcp, []string{"-V", "5", "-q", "2", "-t", "large/" + q, "-C", "1", "-N"})})
		if got := sub.succeed(); got != want {
			t.Errorf("%d bytes at QoS %d arrive as %d other bytes", len(want), qos, len(got))
		}
	}
}
