package tools

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// faultLines are what goes wrong at three in the morning. Each is one line on
// standard error that want matches, and nothing on standard output.
var faultLines = []struct {
	line
	status int
	want   string
}{
	{line{command: "pub", args: "-t a -m x -p 1"}, 1, `cannot connect to 127.0.0.1:1: nobody listens there. Is the broker running`},
	{line{command: "sub", args: "-t a -p 1"}, 1, `cannot connect to 127.0.0.1:1: nobody listens there`},
	{line{command: "rr", args: "-t a -e b -m x -p 1"}, 1, `cannot connect to 127.0.0.1:1: nobody listens there`},
	{line{command: "test", args: "-p 1"}, 1, `cannot connect to 127.0.0.1:1: nobody listens there`},
	{line{command: "replay", args: "$DIR/recording -h 127.0.0.1 -p 1"}, 1, `cannot connect to 127.0.0.1:1: nobody listens there`},
	{line{command: "pub", args: "-t a -m x -h nowhere.invalid"}, 1, `there is no host "nowhere.invalid"; check --host|cannot find the address of "nowhere.invalid"`},
	{line{command: "pub", args: "--unix $SOCK.not -t a -m x", mode: "unix"}, 1, `s.not: there is no such socket`},
	{line{command: "pub", args: "-t a -m x -u u -P p", mode: "badpass"}, 4, `bad user name or password. Check --username and --pw.`},
	{line{command: "pub", args: "-t a -m x -V 5 -u u -P p", mode: "badpass"}, 134, `Bad User Name or Password. Check --username and --pw.`},
	{line{command: "sub", args: "-t a", mode: "refused"}, 5, `not authorised. Check --username and --pw, and what the server allows.`},
	{line{command: "test", args: "-V 311", mode: "badpass"}, 4, `bad user name or password. Check --username and --pw.`},
	{line{command: "pub", args: "-t a -m x -q 1 -V 5", mode: "forbidden"}, 1, `Warning: Publish 1 failed: Not authorized.`},
	{line{command: "sub", args: "-t a", mode: "denied"}, 1, `All subscription requests were denied.`},
	{line{command: "rr", args: "-t a -e b -m x", mode: "denied"}, 1, `Not authorized`},
	{line{command: "pub", args: "-t a -m x", mode: "hangup"}, 7, `cannot connect to 127.0.0.1:\d+: the server closed the connection.`},
	{line{command: "pub", args: "-t a -m x -q 1", mode: "hangpub"}, 7, `The connection was lost.`},
	{line{command: "pub", args: "-t a -m x", mode: "garbage"}, 7, `what answers at 127.0.0.1:\d+ is no MQTT server`},
	{line{command: "pub", args: "-t a -m x -q 1 -V 5", mode: "kickedpub"}, 7, `The server ended the connection: Quota exceeded.`},
	{line{command: "sub", args: "-t a -V 5 -i me", mode: "kicked"}, 7, `The server ended the connection: Session taken over.`},
	{line{command: "pub", args: "-t a -m x -q 1 -V 5", mode: "maxqos0"}, 24, `Message QoS not supported on broker, try a lower QoS.`},
	{line{command: "pub", args: "-t a -m 'too long for a packet of 20 bytes' -V 5", mode: "small"}, 25, `Packet larger than supported by the server.`},
	{line{command: "pub", args: "-t a -f /nonexistent"}, 1, `-f /nonexistent: No such file or directory.`},
	{line{command: "pub", args: "-t a -f $DIR -p 1"}, 1, `Is a directory.`},

	{line{command: "pub", args: "-h localhost -p $PORT --cafile $DIR/other.pem -t a -m x", mode: "tls"}, 1, `is not signed by an authority that is trusted here. Name the right one with --cafile.`},
	{line{command: "pub", args: "-h localhost -p $PORT --tls-use-os-certs -t a -m x", mode: "tls"}, 1, `is not signed by an authority that is trusted here.`},
	{line{command: "test", args: "-h localhost -p $PORT --cafile $DIR/other.pem", mode: "tls"}, 1, `is not signed by an authority that is trusted here.`},
	{line{command: "pub", args: cafile + "-t a -m x", mode: "expired"}, 1, `has expired on 20\d\d-\d\d-\d\d .*Renew it on the server`},
	{line{command: "pub", args: cafile + "-t a -m x", mode: "otherhost"}, 1, `is for other.example, not for localhost. Call the server by such a name, or use --insecure.`},
	{line{command: "sub", args: cafile + "-t a", mode: "otherhost"}, 1, `is for other.example, not for localhost.`},
	{line{command: "pub", args: cafile + "-t a -m x"}, 1, `localhost:\d+ does not speak TLS|the server closed the connection`},
	{line{command: "pub", args: "-h localhost -p $PORT -t a -m x", mode: "tls"}, 7, `is no MQTT server|Does it speak MQTT there, and over TLS\? Then add --tls-use-os-certs`},
	{line{command: "pub", args: cafile + "-t a -m x", mode: "tlsclient"}, 7, `ended the TLS handshake: certificate required. It wants a certificate of this client`},
	{line{command: "pub", args: "--cafile /nonexistent -t a -m x"}, 1, `--cafile: open /nonexistent: no such file or directory.`},
	{line{command: "pub", args: "--cafile $DIR/empty -t a -m x"}, 1, `--cafile: no certificate in .*empty.`},
	{line{command: "pub", args: "-t a -m x --psk ab --psk-identity x"}, 1, `TLS with a pre-shared key is not supported; use --cafile.`},
	{line{command: "pub", args: cafile + "--ciphers nonsense -t a -m x", mode: "tls"}, 1, `there is no cipher suite "nonsense"`},
	{line{command: "pub", args: "-h h -p 80 --proxy socks5h://127.0.0.1:$PORT -t a -m x", mode: "socks5"}, 4, `the proxy at 127.0.0.1:\d+: the server refuses the proxy's connection.`},
	{line{command: "pub", args: "--proxy socks5h://127.0.0.1:1 -t a -m x"}, 1, `cannot connect to 127.0.0.1:1: nobody listens there`},
	{line{command: "pub", args: "-t a -m x --ws"}, 1, `check --ws-path`},
}

func TestFaultsAreOneLineWithTheirMend(t *testing.T) {
	b := newBench(t)
	for _, l := range faultLines {
		t.Run(fmt.Sprintf("%s %s %s", l.command, l.mode, l.args), func(t *testing.T) {
			t.Parallel()
			got := b.run(t, filepath.Join(b.dir, "wirebird"), l.line)
			_, text, _ := strings.Cut(got, "--- stderr\n")
			text, _, _ = strings.Cut(text, "\n\n--- packets")
			head := fmt.Sprintf("status %d\n--- stdout\n\n--- stderr\n", l.status)
			if !strings.HasPrefix(got, head) || strings.Contains(text, "\n") || !regexp.MustCompile(l.want).MatchString(text) {
				t.Errorf("got\n%s\nwant status %d and one line that matches %s", got, l.status, l.want)
			}
		})
	}
}
