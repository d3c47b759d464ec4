package server_test

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/config"
)

// upgrade asks the i-th listener for a WebSocket on behalf of a page, "" for a client that
// is no browser.
func (n *node) upgrade(i int, origin string) int {
	n.t.Helper()
	u := n.Listeners[i].Transport
	nc, err := net.Dial(u.Network, u.Address)
	if err != nil {
		n.t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	request := "GET /mqtt HTTP/1.1\r\nHost: " + u.Address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n"
	if origin != "" {
		request += "Origin: " + origin + "\r\n"
	}
	if _, err := nc.Write([]byte(request + "\r\n")); err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestPagesFromElsewhereNeedPermission(t *testing.T) {
	const evil, ok, refused = "http://evil.example", http.StatusSwitchingProtocols, http.StatusForbidden
	yes := true
	local := map[string]int{
		evil: refused, "https://evil.example:3000": refused, "http://localhost.evil.example": refused,
		"http://127.0.0.1.evil.example": refused, "http://1": refused, "null": refused,
		"http://localhost": ok, "http://localhost:3000": ok, "https://localhost:8443": ok,
		"http://127.0.0.1:5173": ok, "http://[::1]:3000": ok, "https://[::1]": ok, "": ok,
	}
	for name, tt := range map[string]struct {
		change func(*config.Config)
		want   map[string]int // by origin
	}{
		"nothing said":      {func(*config.Config) {}, local},
		"anonymous for all": {func(c *config.Config) { c.AllowAnonymous = true }, map[string]int{evil: ok, "": ok}},
		"anonymous here":    {func(c *config.Config) { c.Listen[0].AllowAnonymous = &yes }, map[string]int{evil: ok}},
		"passwords":         {func(c *config.Config) { c.PasswordFile = writeFile(t, userU) }, map[string]int{evil: ok}},
		"origins of their own": {func(c *config.Config) { c.Listen[0].Origins = []string{"evil.example"} },
			map[string]int{evil: ok, "http://localhost": refused, "": ok}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := loopback()
			cfg.Listen[0].URL = "ws://127.0.0.1:0/mqtt"
			tt.change(&cfg)
			n := start(t, cfg)
			for origin, want := range tt.want {
				if got := n.upgrade(0, origin); got != want {
					t.Errorf("Origin %q: status %d; want %d", origin, got, want)
				}
			}
		})
	}
}
