package server_test

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/scram"
	"github.com/wirebird/wirebird/packet"
)

// Users that mosquitto_passwd has written; the password is "pw" resp. empty.
const (
	userU  = "u:$7$101$4AL1vSKdEk9jiSwx$eMyaGy2YxKv8Ys77UF18SpdPNEotv4H3yTia0UCKZIlfiKM1xwkp6623Qc8CqtRpEh8CJKOhWyDCCMpUN7qYOA==\n"
	userU2 = "u2:$7$101$mkWunDT5KJoAgJIr$odOGWOSiBxvfi6AFqv46gcSwRtNqZFf7Voi8s2Ee0jC5CD13718+KUdll9lwzVZD5s9OkDyyyFPeMIExC85hFw==\n"
)

func versions() []packet.Version { return []packet.Version{packet.V31, packet.V311, packet.V5} }

func TestWhoMayConnectWithoutAPassword(t *testing.T) {
	yes, no := true, false
	const ok, refused = packet.Success, packet.NotAuthorized
	for name, tt := range map[string]struct {
		change func(*config.Config)
		want   []packet.ReasonCode // of each listener
	}{
		"no files, this machine": {func(c *config.Config) {}, []packet.ReasonCode{ok}},
		"no files, all machines": {func(c *config.Config) {
			c.Listen = append(c.Listen, config.Listener{URL: "tcp://0.0.0.0:0"})
			c.AllowAnonymous = true
		}, []packet.ReasonCode{ok, ok}},
		"no files, one address opened": {func(c *config.Config) {
			c.Listen = append(c.Listen, config.Listener{URL: "tcp://0.0.0.0:0", AllowAnonymous: &yes})
		}, []packet.ReasonCode{ok, ok}},
		"passwords": {func(c *config.Config) {
			c.PasswordFile = writeFile(t, userU)
			c.Listen = append(c.Listen, config.Listener{URL: "tcp://0.0.0.0:0"})
		}, []packet.ReasonCode{refused, refused}},
		"passwords and allow_anonymous": {func(c *config.Config) {
			c.PasswordFile = writeFile(t, userU)
			c.AllowAnonymous = true
			c.Listen = append(c.Listen, config.Listener{URL: "tcp://0.0.0.0:0", AllowAnonymous: &no})
		}, []packet.ReasonCode{ok, refused}},
		"passwords, one address opened": {func(c *config.Config) {
			c.PasswordFile = writeFile(t, userU)
			c.Listen = append(c.Listen, config.Listener{URL: "tcp://127.0.0.1:0", AllowAnonymous: &yes})
		}, []packet.ReasonCode{refused, ok}},
		"SCRAM only": {func(c *config.Config) { c.ScramFile = writeFile(t, "") }, []packet.ReasonCode{refused}},
		"Unix socket": {func(c *config.Config) {
			if runtime.GOOS != "windows" {
				c.Listen[0].URL = unixURL(t)
			}
		}, []packet.ReasonCode{ok}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := loopback()
			tt.change(&cfg)
			n := start(t, cfg)
			for i, want := range tt.want {
				for _, v := range versions() {
					if got := n.dial(i, v).connect(nil, nil).Code; got != want {
						t.Errorf("listener %d, MQTT %v: %v; want %v", i, v, got, want)
					}
				}
				if n.Listeners[i].Anonymous != (want == ok) {
					t.Errorf("listener %d says that anonymous clients are welcome: %v", i, n.Listeners[i].Anonymous)
				}
				if got := n.log.entries(t, "listening")[i]["anonymous"]; got != (want == ok) {
					t.Errorf("listener %d is logged with anonymous=%v", i, got)
				}
			}
		})
	}
}

func TestNameThatNothingIsCheckedAgainstIsAnonymous(t *testing.T) {
	for name, tt := range map[string]struct {
		scram bool
		want  packet.ReasonCode
	}{
		"no files":   {false, packet.Success},
		"SCRAM only": {true, packet.NotAuthorized},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := loopback()
			if tt.scram {
				cfg.ScramFile = writeFile(t, scramLine("alice", "secret"))
			}
			n := start(t, cfg)
			for _, v := range versions() {
				if got := n.dial(0, v).connect([]byte("alice"), []byte("secret")).Code; got != tt.want {
					t.Errorf("MQTT %v: %v; want %v", v, got, tt.want)
				}
			}
		})
	}
}

func TestPasswordsAreChecked(t *testing.T) {
	for _, anonymous := range []bool{false, true} {
		cfg := loopback()
		cfg.PasswordFile = writeFile(t, userU+userU2)
		cfg.AllowAnonymous = anonymous
		n := start(t, cfg)
		for name, tt := range map[string]struct {
			user, password []byte
			want           packet.ReasonCode
		}{
			"right":        {[]byte("u"), []byte("pw"), packet.Success},
			"wrong":        {[]byte("u"), []byte("PW"), packet.BadUserNameOrPassword},
			"unknown user": {[]byte("nobody"), []byte("pw"), packet.BadUserNameOrPassword},
			"empty user":   {[]byte(""), []byte("pw"), packet.BadUserNameOrPassword},
			"empty right":  {[]byte("u2"), []byte(""), packet.Success},
			"none given":   {[]byte("u2"), nil, packet.BadUserNameOrPassword},
		} {
			for _, v := range versions() {
				t.Run(fmt.Sprintf("%s, MQTT %v, anonymous=%v", name, v, anonymous), func(t *testing.T) {
					p := n.dial(0, v)
					p.t = t
					if got := p.connect(tt.user, tt.password).Code; got != tt.want {
						t.Errorf("%v; want %v", got, tt.want)
					}
				})
			}
		}
	}
}

// The bytes of the refusals, as a client of each version sees them.
func TestRefusalsOnTheWire(t *testing.T) {
	cfg := loopback()
	cfg.PasswordFile = writeFile(t, userU)
	n := start(t, cfg)
	for name, tt := range map[string]struct {
		v    packet.Version
		user []byte
		want byte
	}{
		"3.1.1, no name":   {packet.V311, nil, 5},
		"3.1.1, wrong":     {packet.V311, []byte("u"), 4},
		"3.1, no name":     {packet.V31, nil, 5},
		"3.1, wrong":       {packet.V31, []byte("u"), 4},
		"5.0, no name":     {packet.V5, nil, 0x87},
		"5.0, wrong":       {packet.V5, []byte("u"), 0x86},
		"5.0, nobody":      {packet.V5, []byte("x"), 0x86},
		"3.1.1, nobody":    {packet.V311, []byte("x"), 4},
		"3.1.1, no letter": {packet.V311, []byte(""), 4},
	} {
		t.Run(name, func(t *testing.T) {
			p := n.dial(0, tt.v)
			p.t = t
			p.send(&packet.Connect{Version: tt.v, CleanStart: true, ClientID: []byte("c"),
				HasUsername: tt.user != nil, Username: tt.user, HasPassword: tt.user != nil, Password: []byte("wrong")})
			head := make([]byte, 4)
			if _, err := io.ReadFull(p.nc, head); err != nil {
				t.Fatal(err)
			}
			if head[0] != byte(packet.CONNACK)<<4 || head[3] != tt.want {
				t.Errorf("the answer begins with % X; want the code %#02x", head, tt.want)
			}
		})
	}
}

func scramLine(user, password string) string {
	return user + ":" + scram.Derive(password, []byte("salt of "+user), 4096).String() + "\n"
}
