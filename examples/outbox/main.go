// Outbox publishes into a directory while it is offline. Then a second client with the
// same directory connects and sends what waits there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/wirebird/wirebird/client"
)

func main() {
	server := flag.String("server", "mqtt://localhost", "`URL` of the server")
	dir := flag.String("dir", "outbox", "`directory` of the outbox")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	o := client.Options{URL: *server, Outbox: &client.OutboxOptions{Dir: *dir}}
	if err := store(ctx, o); err != nil {
		log.Fatal(err)
	}
	c, err := client.Connect(ctx, o)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Drain(ctx); err != nil { // waits until the server has all
		log.Fatal(err)
	}
	fmt.Println(c.Stats().Acknowledged, "messages sent")
}

func store(ctx context.Context, o client.Options) error {
	o.Dial = func(context.Context) (net.Conn, error) { return nil, errors.New("offline") }
	c, err := client.Start(o)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range 3 { // each is on disk when PublishAsync returns
		m := client.Message{Topic: "python/mqtt", Payload: fmt.Appendf(nil, "messages: %d", i+1), QoS: 1}
		if _, err := c.PublishAsync(ctx, m); err != nil {
			return err
		}
	}
	fmt.Println(c.Stats().OutboxMessages, "messages stored")
	return nil
}
