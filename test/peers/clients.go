package main

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

type wirebird struct{ c *client.Client }

func newWirebird(ctx context.Context, url string, v packet.Version) (peer, error) {
	c, err := client.Connect(ctx, client.Options{URL: url, Version: v, MaxQueued: window})
	return wirebird{c}, err
}

func (p wirebird) publish(ctx context.Context, qos byte) error {
	return p.c.Publish(ctx, client.Message{Topic: topic, Payload: payload, QoS: qos})
}

func (p wirebird) start(ctx context.Context, qos byte) (token, error) {
	t, err := p.c.PublishAsync(ctx, client.Message{Topic: topic, Payload: payload, QoS: qos})
	return wirebirdToken{t}, err
}

type wirebirdToken struct{ t *client.Token }

func (t wirebirdToken) wait(ctx context.Context) error { return t.t.Wait(ctx) }

func (p wirebird) subscribe(ctx context.Context, qos byte, fn func()) error {
	return p.c.SubscribeHandler(ctx, client.Subscription{Filter: topic, QoS: qos},
		client.Handler{Func: func(*client.Client, *client.Message) { fn() }, Overflow: client.Block})
}

func (p wirebird) close() { p.c.Close() }

// pahoGolang is the plain client of paho.golang, which autopaho calls.
type pahoGolang struct {
	c  *paho.Client
	fn func()
}

func newPaho(ctx context.Context, address string) (peer, error) {
	nc, err := net.Dial("tcp", strings.TrimPrefix(address, "tcp://"))
	if err != nil {
		return nil, err
	}
	p := &pahoGolang{}
	p.c = paho.NewClient(paho.ClientConfig{
		Conn: nc,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(paho.PublishReceived) (bool, error) { p.fn(); return true, nil },
		},
		PacketTimeout: 30 * time.Second,
	})
	_, err = p.c.Connect(ctx, &paho.Connect{KeepAlive: 60, CleanStart: true})
	return p, err
}

func (p *pahoGolang) publish(ctx context.Context, qos byte) error {
	_, err := p.c.Publish(ctx, &paho.Publish{Topic: topic, Payload: payload, QoS: qos})
	return err
}

// start cannot tell when the message was published.
func (p *pahoGolang) start(ctx context.Context, qos byte) (token, error) {
	_, err := p.c.PublishWithOptions(ctx, &paho.Publish{Topic: topic, Payload: payload, QoS: qos},
		paho.PublishOptions{Method: paho.PublishMethod_AsyncSend})
	return nil, err
}

func (p *pahoGolang) subscribe(ctx context.Context, qos byte, fn func()) error {
	p.fn = fn
	_, err := p.c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: qos}}})
	return err
}

func (p *pahoGolang) close() { _ = p.c.Disconnect(&paho.Disconnect{}) }

type pahoMQTT struct{ c mqtt.Client }

func newPahoMQTT(address string) (peer, error) {
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(address).SetProtocolVersion(4).SetClientID("peer"))
	return pahoMQTT{c}, pahoToken{c.Connect()}.wait(context.Background())
}

type pahoToken struct{ t mqtt.Token }

func (t pahoToken) wait(context.Context) error {
	t.t.Wait()
	return t.t.Error()
}

func (p pahoMQTT) publish(ctx context.Context, qos byte) error {
	return pahoToken{p.c.Publish(topic, qos, false, payload)}.wait(ctx)
}

func (p pahoMQTT) start(_ context.Context, qos byte) (token, error) {
	return pahoToken{p.c.Publish(topic, qos, false, payload)}, nil
}

func (p pahoMQTT) subscribe(ctx context.Context, qos byte, fn func()) error {
	return pahoToken{p.c.Subscribe(topic, qos, func(mqtt.Client, mqtt.Message) { fn() })}.wait(ctx)
}

func (p pahoMQTT) close() { p.c.Disconnect(100) }
