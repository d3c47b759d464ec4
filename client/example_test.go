package client_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"iter"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
	"github.com/wirebird/wirebird/packet"
)

// home reaches a broker inside this program. A program of yours leaves Options.Dial out
// and names its broker with Options.URL.
func home() func(context.Context) (net.Conn, error) { return clienttest.NewBroker(&testing.T{}).Dial }

func Example() {
	ctx := context.Background()
	arrived := make(chan *client.Message)
	c, err := client.Connect(ctx, client.Options{
		URL:       "mqtt://localhost",
		Dial:      home(), // leave it out to reach a broker
		OnMessage: func(_ *client.Client, m *client.Message) { arrived <- m },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Subscribe(ctx, client.Subscription{Filter: "sensors/#", QoS: 1}); err != nil {
		log.Fatal(err)
	}
	err = c.Publish(ctx, client.Message{
		Topic:      "sensors/kitchen",
		Payload:    []byte("21.5"),
		QoS:        1,
		Properties: client.Properties{User: []client.User{{Key: "unit", Value: "°C"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	m := <-arrived
	fmt.Printf("%s %s %s\n", m.Topic, m.Payload, m.Properties.User[0].Value)
	// Output: sensors/kitchen 21.5 °C
}

// Start does not wait for the server; messages of QoS 1 and 2 do.
func ExampleStart() {
	ctx := context.Background()
	c, err := client.Start(client.Options{
		Dial:      home(),
		OnConnect: func(_ *client.Client, a client.Connack) { fmt.Println("connected:", a.Code) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Publish(ctx, client.Message{Topic: "a", QoS: 1}); err != nil {
		log.Fatal(err)
	}
	if err := c.Drain(ctx); err != nil { // Close would not wait for OnConnect's turn
		log.Fatal(err)
	}
	// Output: connected: success
}

func ExampleConnect_tls() {
	pair, err := tls.LoadX509KeyPair("kitchen.crt", "kitchen.key")
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Connect(context.Background(), client.Options{
		URL: "mqtts://broker.example",
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}},
	})
	if err != nil {
		log.Fatal(err)
	}
	c.Close()
}

func ExampleSCRAM() {
	c, err := client.Connect(context.Background(), client.Options{
		URL:  "mqtts://broker.example",
		Auth: client.SCRAM("alice", "correct horse"),
	})
	if err != nil {
		log.Fatal(err)
	}
	c.Close()
}

func ExamplePublishOnce() {
	err := client.PublishOnce(context.Background(), client.Options{Dial: home()},
		client.Message{Topic: "a", Payload: []byte("1")},
		client.Message{Topic: "b", Payload: []byte("2"), QoS: 1})
	fmt.Println(err)
	// Output: <nil>
}

// The messages of a whole day need not be in memory.
func ExamplePublishMany() {
	var readings iter.Seq[client.Message] = func(yield func(client.Message) bool) {
		for hour := range 24 {
			if !yield(client.Message{Topic: fmt.Sprint("hours/", hour), QoS: 1}) {
				return
			}
		}
	}
	fmt.Println(client.PublishMany(context.Background(), client.Options{Dial: home()}, readings))
	// Output: <nil>
}

func ExampleReceiveN() {
	ctx, dial := context.Background(), home()
	kept := client.Message{Topic: "status/kitchen", Payload: []byte("warm"), QoS: 1, Retain: true}
	if err := client.PublishOnce(ctx, client.Options{Dial: dial}, kept); err != nil {
		log.Fatal(err)
	}
	messages, err := client.ReceiveN(ctx, client.Options{Dial: dial}, 1, client.Subscription{Filter: "status/+"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(messages[0].Topic, string(messages[0].Payload))
	// Output: status/kitchen warm
}

// Listen returns when its context ends, here with the first message.
func ExampleListen() {
	dial := home()
	ctx, stop := context.WithCancel(context.Background())
	o := client.Options{Dial: dial, OnSubscribe: func(c *client.Client, _ []client.Subscription, _ []packet.ReasonCode) {
		_ = c.Publish(ctx, client.Message{Topic: "a/b", Payload: []byte("hello"), QoS: 1})
	}}
	err := client.Listen(ctx, o, func(_ *client.Client, m *client.Message) {
		fmt.Println(string(m.Payload))
		stop()
	}, client.Subscription{Filter: "a/#", QoS: 1})
	fmt.Println(err)
	// Output:
	// hello
	// <nil>
}

func ExampleClient_PublishAsync() {
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	var tokens []*client.Token
	for i := range 3 {
		t, err := c.PublishAsync(ctx, client.Message{Topic: "t", Payload: fmt.Append(nil, i), QoS: 1})
		if err != nil {
			log.Fatal(err)
		}
		tokens = append(tokens, t)
	}
	for _, t := range tokens {
		fmt.Println(t.PacketID(), t.Wait(ctx))
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}

// Each handler has a lane of its own, and may publish.
func ExampleClient_SubscribeFunc() {
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	done := make(chan struct{})
	err = c.SubscribeFunc(ctx, client.Subscription{Filter: "celsius/+", QoS: 1}, func(c *client.Client, m *client.Message) {
		to := strings.Replace(m.Topic, "celsius", "seen", 1)
		if err := c.Publish(m.Context(), client.Message{Topic: to, Payload: m.Payload, QoS: 1}); err != nil {
			log.Print(err)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	err = c.SubscribeFunc(ctx, client.Subscription{Filter: "seen/#", QoS: 1}, func(_ *client.Client, m *client.Message) {
		fmt.Println(m.Topic, string(m.Payload))
		close(done)
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Publish(ctx, client.Message{Topic: "celsius/kitchen", Payload: []byte("21.5"), QoS: 1}); err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: seen/kitchen 21.5
}

// A queue of ten, of which the oldest go first.
func ExampleHandler() {
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	err = c.SubscribeHandler(ctx, client.Subscription{Filter: "video/#"}, client.Handler{
		Func:     func(_ *client.Client, m *client.Message) { /* slow */ },
		Queue:    10,
		Overflow: client.DropOldest,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Stats().Dropped, "dropped")
	// Output: 0 dropped
}

// Work that ends later, in any order, is acknowledged by hand.
func ExampleMessage_Ack() {
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	var work sync.WaitGroup
	work.Add(2)
	err = c.SubscribeHandler(ctx, client.Subscription{Filter: "jobs", QoS: 1}, client.Handler{
		ManualAck: true,
		Func: func(_ *client.Client, m *client.Message) {
			go func() {
				defer work.Done()
				m.Ack() // the job is done
			}()
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		if err := c.Publish(ctx, client.Message{Topic: "jobs", QoS: 1}); err != nil {
			log.Fatal(err)
		}
	}
	work.Wait()
	fmt.Println(c.Stats().Received, "jobs")
	// Output: 2 jobs
}

// Messages wait on disk for a connection, and for the next process.
func ExampleOutboxOptions() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "outbox")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := client.Start(client.Options{Dial: home(), Outbox: &client.OutboxOptions{Dir: dir, MaxMessages: 10_000}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.PublishAsync(ctx, client.Message{Topic: "a", QoS: 1}); err != nil {
		log.Fatal(err) // it is not on disk
	}
	fmt.Println(c.Drain(ctx))
	// Output: <nil>
}

func ExampleClient_Request() {
	ctx, dial := context.Background(), home()
	server, err := client.Connect(ctx, client.Options{Dial: dial})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	err = server.SubscribeFunc(ctx, client.Subscription{Filter: "upper", QoS: 1}, func(c *client.Client, m *client.Message) {
		if err := c.Respond(m.Context(), m, []byte(strings.ToUpper(string(m.Payload)))); err != nil {
			log.Print(err)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Connect(ctx, client.Options{Dial: dial})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	reply, err := c.Request(ctx, "upper", []byte("hello"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(reply.Payload))
	// Output: HELLO
}

// Values travel as JSON, or as another Codec says.
func ExampleResponder() {
	type sum struct{ A, B int }
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	add := client.Responder(client.JSON{}, func(_ context.Context, s sum) (int, error) { return s.A + s.B, nil })
	if err := c.SubscribeFunc(ctx, client.Subscription{Filter: "add", QoS: 1}, add); err != nil {
		log.Fatal(err)
	}
	total, err := client.RequestValue[int](ctx, c, client.JSON{}, "add", sum{2, 3})
	fmt.Println(total, err)
	// Output: 5 <nil>
}

func ExampleTyped() {
	type reading struct{ Celsius float64 }
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	done := make(chan struct{})
	warm := client.Typed(client.JSON{}, func(_ *client.Client, m *client.Message, r reading) {
		fmt.Println(m.Topic, r.Celsius)
		close(done)
	})
	if err := c.SubscribeFunc(ctx, client.Subscription{Filter: "rooms/+"}, warm); err != nil {
		log.Fatal(err)
	}
	err = client.PublishValue(ctx, c, client.JSON{}, client.Message{Topic: "rooms/kitchen"}, reading{21.5})
	if err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: rooms/kitchen 21.5
}

// A trace goes with the messages that a handler publishes.
func ExampleTraceContext() {
	trace := client.NewTrace()
	ctx := client.ContextWithTrace(context.Background(), trace)
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	done := make(chan client.TraceContext)
	err = c.SubscribeFunc(ctx, client.Subscription{Filter: "a"}, func(_ *client.Client, m *client.Message) {
		arrived, _ := m.Trace()
		done <- arrived
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Publish(ctx, client.Message{Topic: "a"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(cmp.Compare((<-done).Parent, trace.Parent))
	// Output: 0
}

func ExampleClient_Drain() {
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{Dial: home()})
	if err != nil {
		log.Fatal(err)
	}
	for range 100 {
		if _, err := c.PublishAsync(ctx, client.Message{Topic: "a", QoS: 2}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(c.Drain(ctx), c.Stats().Acknowledged)
	// Output: <nil> 100
}
