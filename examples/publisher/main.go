// Publisher sends "messages: 1", "messages: 2" and so on to python/mqtt, one a second.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/wirebird/wirebird/client"
)

func main() {
	server := flag.String("server", "mqtt://localhost", "`URL` of the server")
	n := flag.Int("n", 0, "how many messages; 0 means no end")
	interval := flag.Duration("interval", time.Second, "time between messages")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := publish(ctx, *server, *n, *interval); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func publish(ctx context.Context, server string, n int, interval time.Duration) error {
	c, err := client.Connect(ctx, client.Options{URL: server})
	if err != nil {
		return err
	}
	defer c.Close()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := 1; ; i++ {
		text := fmt.Sprintf("messages: %d", i)
		if err := c.Publish(ctx, client.Message{Topic: "python/mqtt", Payload: []byte(text), QoS: 1}); err != nil {
			return err
		}
		fmt.Println("sent", text)
		if i == n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
