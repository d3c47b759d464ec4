package config

import "testing"

func TestAProxyOnLoopbackBringsInTheOutside(t *testing.T) {
	c := Default()
	l := Listener{URL: "tcp://127.0.0.1:1883?proxy=true"}
	if c.Anonymous(l) {
		t.Error("clients from anywhere may connect without a password")
	}
	c.AllowAnonymous = true
	if !c.Anonymous(l) {
		t.Error("allow_anonymous does not hold for it")
	}
}
