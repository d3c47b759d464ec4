// TLS connects to a server whose certificate a private authority has signed, shows its
// own certificate if it is given one, and publishes a message.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/wirebird/wirebird/client"
)

func main() {
	server := flag.String("server", "mqtts://localhost", "`URL` of the server: mqtts or wss")
	ca := flag.String("ca", "", "`file` with the authority's certificates, PEM; empty means those of the system")
	cert := flag.String("cert", "", "`file` with the client's certificate, PEM")
	key := flag.String("key", "", "`file` with its key, PEM")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := publish(ctx, *server, *ca, *cert, *key); err != nil {
		log.Fatal(err)
	}
}

func publish(ctx context.Context, server, ca, cert, key string) error {
	config, err := configure(ca, cert, key)
	if err != nil {
		return err
	}
	err = client.PublishOnce(ctx, client.Options{URL: server, TLS: config},
		client.Message{Topic: "python/mqtt", Payload: []byte("in confidence"), QoS: 1})
	if err != nil {
		return err
	}
	fmt.Println("sent in confidence")
	return nil
}

// configure says whom to trust, and who the client is.
func configure(ca, cert, key string) (*tls.Config, error) {
	config := &tls.Config{}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
