// Request asks a question over MQTT 5.0 and prints the answer. It also answers it, with a
// second client, so that it runs alone.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/wirebird/wirebird/client"
)

const topic = "python/upper"

func main() {
	server := flag.String("server", "mqtt://localhost", "`URL` of the server")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := ask(ctx, client.Options{URL: *server}); err != nil {
		log.Fatal(err)
	}
}

func ask(ctx context.Context, o client.Options) error {
	responder, err := client.Connect(ctx, o)
	if err != nil {
		return err
	}
	defer responder.Close()
	err = responder.SubscribeFunc(ctx, client.Subscription{Filter: topic, QoS: 1}, upper)
	if err != nil {
		return err
	}
	requester, err := client.Connect(ctx, o)
	if err != nil {
		return err
	}
	defer requester.Close()
	answer, err := requester.Request(ctx, topic, []byte("hello"))
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", answer.Payload)
	return nil
}

func upper(c *client.Client, m *client.Message) {
	if err := c.Respond(m.Context(), m, bytes.ToUpper(m.Payload)); err != nil {
		log.Print(err)
	}
}
