package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Broker is a broker under test.
type Broker struct {
	Name string
	// Baseline makes every row tell its ratio to this broker.
	Baseline bool
	// Start runs the broker with its state in dir, which exists and is empty.
	Start func(ctx context.Context, dir string) (*Instance, error)
}

// Instance is a broker that runs.
type Instance struct {
	Address string       // where it serves MQTT, on loopback
	PID     int          // 0 is unknown
	Metrics string       // URL of its metrics in the Prometheus text format; "" is none
	Stop    func() error // ends it; an error means that it had ended before

	// Others are URLs of further transports, by name; for TLS is what they need.
	Others map[string]string
	TLS    *tls.Config
}

// Wirebird is the program at path with a durability, as the setting has it, or
// with none of its state on disk if that is "".
func Wirebird(path, durability string) Broker {
	if durability == "" {
		return Broker{Name: "wirebird in-memory", Start: func(ctx context.Context, dir string) (*Instance, error) {
			return startWirebird(ctx, path, dir, "--in-memory")
		}}
	}
	return Broker{Name: "wirebird " + durability, Start: func(ctx context.Context, dir string) (*Instance, error) {
		return startWirebird(ctx, path, dir, "--data", filepath.Join(dir, "data"), "--set", "durability="+durability)
	}}
}

// startWirebird raises the limits that the load could reach before others do,
// as Mosquitto raises its own.
func startWirebird(ctx context.Context, path, dir string, extra ...string) (*Instance, error) {
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	// A file that is empty keeps it from finding one of this machine.
	config := filepath.Join(dir, "wirebird.yaml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, append([]string{
		"serve", "--config", config,
		"--listen", "tcp://" + addresses[0],
		"--admin", addresses[1],
		"--log-level", "warn",
		"--set", "limits.max_inflight=65535",
		"--set", "limits.receive_maximum=65535",
		"--set", "limits.max_queued_messages=100000000",
		"--set", "limits.max_queued_bytes=16GiB",
	}, extra...)...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "WIREBIRD_") })
	c, err := startChild(ctx, cmd, addresses[0])
	if err != nil {
		return nil, err
	}
	return &Instance{Address: addresses[0], PID: cmd.Process.Pid, Metrics: "http://" + addresses[1] + "/metrics", Stop: c.stop}, nil
}

// mosquittoConfig lifts Mosquitto's limits on messages under way. Persistence is
// off: Mosquitto writes its state every half hour, not before it acknowledges,
// so it is faster without, and no less durable in a minute. set_tcp_nodelay is off as it
// comes: the durable load is faster so.
const mosquittoConfig = `listener %s 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
log_dest stderr
log_type error
`

// Mosquitto is the Mosquitto 2 at path.
func Mosquitto(path string) Broker {
	return Broker{Name: "mosquitto", Start: func(ctx context.Context, dir string) (*Instance, error) {
		addresses, err := freeAddresses(1)
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(addresses[0])
		if err != nil {
			return nil, err
		}
		config := filepath.Join(dir, "mosquitto.conf")
		if err := os.WriteFile(config, fmt.Appendf(nil, mosquittoConfig, port), 0o600); err != nil {
			return nil, err
		}
		cmd := exec.Command(path, "-c", config)
		cmd.Dir = dir
		c, err := startChild(ctx, cmd, addresses[0])
		if err != nil {
			return nil, err
		}
		return &Instance{Address: addresses[0], PID: cmd.Process.Pid, Stop: c.stop}, nil
	}}
}

// FindMosquitto returns the path of Mosquitto, "" if this machine has none.
// Debian keeps it where only root's PATH leads.
func FindMosquitto() string {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
