package probe

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/nodetest"
	"github.com/wirebird/wirebird/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, o broker.Options) string {
	t.Helper()
	url := nodetest.Listen(t, nodetest.Broker(t, o), broker.ListenOptions{URL: "tcp://127.0.0.1:0"})
	return strings.Replace(url, "tcp:", "mqtt:", 1)
}

func TestABrokerThatCanEverything(t *testing.T) {
	url := serve(t, broker.Options{SysInterval: 20 * time.Millisecond, Version: "7.8", ResponseInformation: "here/"})
	r, err := Run(t.Context(), Options{Client: client.Options{URL: url}})
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]Answer{
		"5.0": r.MQTT5, "3.1.1": r.MQTT311, "3.1": r.MQTT31, "anonymous": r.Anonymous, "retain": r.Retain, "wildcard": r.Wildcard,
		"shared": r.Shared, "identifiers": r.SubscriptionIdentifiers, "assigns": r.AssignsClientID,
	} {
		if !a.OK || a.Detail != "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if r.MaxQoS != 2 || r.MaxPacketSize != 1<<20 || r.MaxPacketSizeKnown != "announced" || r.TopicAliasMax != 32 || r.ReceiveMax != 1024 ||
		r.MaxSessionExpiry != 0xFFFFFFFF || r.ResponseInfo != "here/" || !strings.Contains(r.SysVersion, "7.8") {
		t.Errorf("%+v", r)
	}
}

func TestABrokerWithLimits(t *testing.T) {
	url := serve(t, broker.Options{
		Limits: broker.Limits{
			MaxPacketSize: 5000, ReceiveMaximum: 9, TopicAliasMaximum: -1, MaxQoS: 1, RetainUnavailable: true,
			MaxKeepAlive: time.Minute, MaxSessionExpiry: time.Hour,
		},
		Hooks: broker.Hooks{
			Connect: func(r *broker.ConnectRequest) broker.Verdict {
				if !r.HasUsername || r.Version == packet.V31 {
					return broker.Verdict{Code: packet.NotAuthorized}
				}
				return broker.Verdict{}
			},
		},
	})
	r, err := Run(t.Context(), Options{Client: client.Options{URL: url, Username: "u"}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Anonymous.OK || r.Anonymous.Detail != "not authorized" || r.MQTT31.OK || !r.MQTT311.OK || r.Retain.OK || r.Retain.Detail == "" {
		t.Errorf("%+v", r)
	}
	if r.MaxQoS != 1 || r.MaxPacketSize != 5000 || r.ReceiveMax != 9 || r.TopicAliasMax != 0 || r.ServerKeepAlive != 60 || r.MaxSessionExpiry != 3600 {
		t.Errorf("%+v", r)
	}
}

func TestTheLargestPacketIsFoundByTryingWhereItIsNotAnnounced(t *testing.T) {
	url := serve(t, broker.Options{
		Limits: broker.Limits{MaxPacketSize: 5000},
		Hooks: broker.Hooks{Connect: func(r *broker.ConnectRequest) broker.Verdict {
			if r.Version == packet.V5 {
				return broker.Verdict{Code: packet.UnsupportedProtocolVersion}
			}
			return broker.Verdict{}
		}},
	})
	r, err := Run(t.Context(), Options{Client: client.Options{URL: url}})
	if err != nil || r.MQTT5.OK || r.SubscriptionIdentifiers.OK {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.MaxPacketSize > 5000 || r.MaxPacketSize < 4900 || !strings.HasPrefix(r.MaxPacketSizeKnown, "tried") {
		t.Errorf("%d bytes, %s; want nearly 5000", r.MaxPacketSize, r.MaxPacketSizeKnown)
	}
	small, err := Run(t.Context(), Options{Client: client.Options{URL: url}, LargestPacket: 2048})
	if err != nil || small.MaxPacketSize != 2048 || !strings.Contains(small.MaxPacketSizeKnown, "largest that was tried") {
		t.Errorf("%+v, %v", small, err)
	}
}

func TestNobodyThere(t *testing.T) {
	if r, err := Run(t.Context(), Options{Client: client.Options{URL: "mqtt://127.0.0.1:1"}}); err == nil || r.MQTT5.OK || r.MQTT5.Detail == "" {
		t.Errorf("%+v, %v", r, err)
	}
}
