package broker_test

import (
	"strings"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

// toyHooks are what the directive hooks stands for: users mallory and banned may not
// connect, topics below deny/ are forbidden, rename/ is published as renamed/ in upper
// case, forget/ loses its RETAIN flag, subscriptions below low/ get QoS 0, and there are
// the authentication methods toy and quick.
func toyHooks() broker.Hooks {
	return broker.Hooks{Connect: toyConnect, Publish: toyPublish, Subscribe: toySubscribe, Auth: toyAuth}
}

func toyConnect(r *broker.ConnectRequest) broker.Verdict {
	switch r.Username {
	case "mallory":
		return broker.Refuse(packet.BadUserNameOrPassword, "who are you")
	case "banned":
		return broker.Refuse(packet.Banned, "")
	case "alias":
		return broker.Verdict{Username: "admin"}
	}
	return broker.Verdict{}
}

func toyPublish(r *broker.PublishRequest) broker.Verdict {
	name, below := strings.CutPrefix(r.Topic, "rename/")
	switch {
	case strings.HasPrefix(r.Topic, "deny/"):
		return broker.Refuse(packet.NotAuthorized, "")
	case strings.HasPrefix(r.Topic, "admin/") && r.Username != "admin":
		return broker.Refuse(packet.NotAuthorized, "")
	case strings.HasPrefix(r.Topic, "forget/"):
		r.Retain = false
	case below:
		r.Topic, r.Payload = "renamed/"+name, []byte(strings.ToUpper(string(r.Payload)))
	}
	return broker.Verdict{}
}

func toySubscribe(r *broker.SubscribeRequest) broker.Verdict {
	v := broker.Verdict{Codes: make([]packet.ReasonCode, len(r.Filters))}
	for i, f := range r.Filters {
		v.Codes[i] = packet.GrantedQoS2
		switch filter := string(f.Filter); {
		case strings.HasPrefix(filter, "deny/"):
			v.Codes[i], v.Reason = packet.NotAuthorized, "not for you"
		case strings.HasPrefix(filter, "low/"):
			v.Codes[i] = packet.Success
		}
	}
	return v
}

func toyAuth(method string, _ *broker.ConnectRequest) broker.Exchange {
	switch method {
	case "toy":
		return &toyExchange{}
	case "quick":
		return quickExchange{}
	}
	return nil
}

// toyExchange asks who, and then for the password.
type toyExchange struct{ asked, user string }

func (x *toyExchange) Step(data []byte) ([]byte, bool, error) {
	switch {
	case x.asked == "":
		x.asked = "who"
		return []byte("who"), false, nil
	case x.asked == "who" && string(data) != "nobody":
		x.asked, x.user = "password", string(data)
		return []byte("password"), false, nil
	case x.asked == "password" && string(data) == "secret":
		x.asked = ""
		return []byte("welcome"), true, nil
	}
	return nil, false, &packet.Error{Code: packet.NotAuthorized}
}

func (x *toyExchange) Username() string { return x.user }

// quickExchange believes everybody.
type quickExchange struct{}

func (quickExchange) Step([]byte) ([]byte, bool, error) { return nil, true, nil }
func (quickExchange) Username() string                  { return "quick" }
