package client_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
)

func TestCloseEndsAPendingSubscribeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, p, _ := connect(t, client.Options{}, &packet.Connack{})
		failed := make(chan error, 2)
		go func() {
			_, err := c.Subscribe(context.Background(), client.Subscription{Filter: "a"})
			failed <- err
		}()
		expect[*packet.Subscribe](p)
		c.Close()
		if err := <-failed; err == nil {
			t.Error("a SUBSCRIBE that was never answered succeeded")
		}
	})
}
