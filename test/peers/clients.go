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

func (p wirebird) start(ctx context.Context, qos byte) (func() error, error) {
	t, err := p.c.PublishAsync(ctx, client.Message{Topic: topic, Payload: payload, QoS: qos})
	return func() error { return t.Wait(ctx) }, err
}

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
func (p *pahoGolang) start(ctx context.Context, qos byte) (func() error, error) {
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
	return pahoMQTT{c}, wait(c.Connect())
}

func wait(t mqtt.Token) error {
	t.Wait()
	return t.Error()
}

func (p pahoMQTT) publish(_ context.Context, qos byte) error {
	return wait(p.c.Publish(topic, qos, false, payload))
}

func (p pahoMQTT) start(_ context.Context, qos byte) (func() error, error) {
	t := p.c.Publish(topic, qos, false, payload)
	return func() error { return wait(t) }, nil
}

func (p pahoMQTT) subscribe(_ context.Context, qos byte, fn func()) error {
	return wait(p.c.Subscribe(topic, qos, func(mqtt.Client, mqtt.Message) { fn() }))
}

func (p pahoMQTT) close() { p.c.Disconnect(100) }
