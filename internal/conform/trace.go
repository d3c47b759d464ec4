package conform

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/wirebird/wirebird/internal/script"
	"github.com/wirebird/wirebird/packet"
)

// Event is one thing that happened on a connection of a check.
type Event struct {
	Conn string `json:"conn"` // its name within the check
	Kind string `json:"kind"` // sent, received or network
	Text string `json:"text"` // the packet, or what happened to the connection
	Hex  string `json:"hex,omitempty"`
}

// mostHex is how many bytes of a packet are shown.
const mostHex = 96

func hexOf(b []byte) string {
	if len(b) <= mostHex {
		return hex.EncodeToString(b)
	}
	return fmt.Sprintf("%s… (%d bytes)", hex.EncodeToString(b[:mostHex]), len(b))
}

// String is the event in one line, without the bytes.
func (e Event) String() string {
	mark := map[string]string{"sent": ">", "received": "<"}[e.Kind]
	if mark == "" {
		mark = "!"
	}
	return e.Conn + mark + " " + e.Text
}

// describe is a packet in the language of scripts, without secrets and of a length to
// look at.
func describe(p packet.Packet) string { return brief(script.Format(hidden(p))) }

// hidden is the packet with another password.
func hidden(p packet.Packet) packet.Packet {
	c, ok := p.(*packet.Connect)
	if !ok || !c.HasPassword {
		return p
	}
	without := *c
	without.Password = []byte("secret")
	return &without
}

const mostText = 400

func brief(s string) string {
	if len(s) <= mostText {
		return s
	}
	return strings.ToValidUTF8(s[:mostText], "") + "…"
}
