package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/wirebird/wirebird/internal/load"
)

// wirebirdEverywhere is the program at path, keeping nothing, with TCP, WebSocket
// and TLS. 0 shards are as many as it wants.
func wirebirdEverywhere(name, path string, shards int) Broker {
	return Broker{Name: name, Start: func(ctx context.Context, dir string) (*Instance, error) {
		pair, err := newKeyPair(dir)
		if err != nil {
			return nil, err
		}
		addresses, err := freeAddresses(2)
		if err != nil {
			return nil, err
		}
		in, err := startWirebird(ctx, path, dir, "--in-memory", "--shards", strconv.Itoa(shards),
			"--listen", "ws://"+addresses[0]+"/mqtt", "--listen", "tls://"+addresses[1],
			"--tls-cert", pair.certFile, "--tls-key", pair.keyFile)
		if err != nil {
			return nil, err
		}
		in.TLS = pair.client
		in.Others = map[string]string{"ws": "ws://" + addresses[0] + "/mqtt", "tls": "mqtts://" + addresses[1]}
		return in, nil
	}}
}

// mosquittoNoDelay lets Mosquitto send at once, as Wirebird does. As it comes, what it
// has to say waits for the acknowledgement of what it said before.
const mosquittoNoDelay = "set_tcp_nodelay true\n"

// mosquittoMore follows mosquittoConfig.
const mosquittoMore = `listener %s 127.0.0.1
protocol websockets
listener %s 127.0.0.1
certfile %s
keyfile %s
`

// mosquittoEverywhere is the Mosquitto 2 at path with TCP, WebSocket and TLS.
func mosquittoEverywhere(path string, nagle bool) Broker {
	name, global := "mosquitto", mosquittoNoDelay
	if nagle {
		name, global = "mosquitto-nagle", ""
	}
	return Broker{Name: name, Baseline: true, Start: func(ctx context.Context, dir string) (*Instance, error) {
		pair, err := newKeyPair(dir)
		if err != nil {
			return nil, err
		}
		addresses, err := freeAddresses(3)
		if err != nil {
			return nil, err
		}
		var ports [3]string
		for i, a := range addresses {
			if _, ports[i], err = net.SplitHostPort(a); err != nil {
				return nil, err
			}
		}
		text := global + fmt.Sprintf(mosquittoConfig, ports[0]) + fmt.Sprintf(mosquittoMore, ports[1], ports[2], pair.certFile, pair.keyFile)
		if os.Geteuid() == 0 {
			text = "user root\n" + text // else it could not read its key
		}
		config := filepath.Join(dir, "mosquitto.conf")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
		cmd := exec.Command(path, "-c", config)
		cmd.Dir = dir
		c, err := startChild(ctx, cmd, addresses[0])
		if err != nil {
			return nil, err
		}
		return &Instance{
			Address: addresses[0], PID: cmd.Process.Pid, Stop: c.stop, TLS: pair.client,
			Others: map[string]string{"ws": "ws://" + addresses[1] + "/mqtt", "tls": "mqtts://" + addresses[2]},
		}, nil
	}}
}

// subject is the running broker, reached by a transport.
func (in *Instance) subject(b Broker, transport string) (Subject, error) {
	url := in.Address
	if transport != "tcp" {
		if url = in.Others[transport]; url == "" {
			return Subject{}, fmt.Errorf("%s serves no %s", b.Name, transport)
		}
	}
	t, err := load.NewTarget(url, "", "", in.TLS)
	if err != nil {
		return Subject{}, err
	}
	s := Subject{Name: b.Name, Target: t, Metrics: in.Metrics, Baseline: b.Baseline}
	if in.PID > 0 {
		s.PIDs = []int{in.PID}
	}
	return s, nil
}

// keyPair is a certificate for 127.0.0.1 that signs itself.
type keyPair struct {
	certFile, keyFile string
	client            *tls.Config // trusts it
}

func newKeyPair(dir string) (*keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	p := &keyPair{
		certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"), client: &tls.Config{RootCAs: pool},
	}
	return p, errors.Join(
		os.WriteFile(p.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(p.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}
