// Subscriber prints the topic and the payload of what is published below python.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/wirebird/wirebird/client"
)

func main() {
	server := flag.String("server", "mqtt://localhost", "`URL` of the server")
	n := flag.Int("n", 0, "how many messages; 0 means no end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	seen := 0
	show := func(_ *client.Client, m *client.Message) { // runs one at a time
		if *n > 0 && seen >= *n {
			return
		}
		fmt.Printf("%s %s\n", m.Topic, m.Payload)
		if seen++; seen == *n {
			stop()
		}
	}
	err := client.Listen(ctx, client.Options{URL: *server}, show, client.Subscription{Filter: "python/#", QoS: 1})
	if err != nil {
		log.Fatal(err)
	}
}
