package config_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/config"
)

// valid returns a configuration that passes.
func valid() config.Config {
	c := config.Default()
	c.Data = "/data"
	return c
}

func listeners(urls ...string) []config.Listener {
	var list []config.Listener
	for _, u := range urls {
		list = append(list, config.Listener{URL: u})
	}
	return list
}

func TestValidate(t *testing.T) {
	yes, no := true, false
	for name, tt := range map[string]struct {
		change func(c *config.Config)
		want   string // "" for none
	}{
		"defaults": {func(c *config.Config) {}, ""},
		"open to the network": {
			func(c *config.Config) { c.Listen = listeners("tcp://0.0.0.0:1883") },
			"listen tcp://0.0.0.0:1883: anyone on the network could connect without a password; " +
				"configure authentication (--password-file FILE) or pass --allow-anonymous",
		},
		"open on all interfaces": {
			func(c *config.Config) { c.Listen = listeners("ws://:8083") },
			"listen ws://:8083: anyone on the network could connect without a password; " +
				"configure authentication (--password-file FILE) or pass --allow-anonymous",
		},
		"open deliberately": {func(c *config.Config) {
			c.Listen, c.AllowAnonymous = listeners("tcp://0.0.0.0:1883"), true
		}, ""},
		"open here deliberately": {func(c *config.Config) {
			c.Listen = []config.Listener{{URL: "tcp://:1883", AllowAnonymous: &yes}}
		}, ""},
		"password file": {func(c *config.Config) {
			c.Listen, c.PasswordFile = listeners("tcp://0.0.0.0:1883"), "users"
		}, ""},
		"SCRAM file": {func(c *config.Config) {
			c.Listen, c.ScramFile = listeners("tcp://0.0.0.0:1883"), "users"
		}, ""},
		"local": {func(c *config.Config) {
			c.Listen = listeners("tcp://127.9.9.9:1", "tcp://[::1]:1", "tcp://localhost:1", "unix:///run/w.sock")
		}, ""},
		"nobody": {
			func(c *config.Config) {
				c.AllowAnonymous = true
				c.Listen = []config.Listener{{URL: "tcp://:1883", AllowAnonymous: &no}}
			},
			"listen tcp://:1883: nobody could connect, because its allow_anonymous is false; configure authentication (--password-file FILE)",
		},
		"TLS without certificate": {
			func(c *config.Config) { c.Listen = listeners("tls://127.0.0.1") },
			"listen tls://127.0.0.1 needs --tls-cert FILE and --tls-key FILE",
		},
		"WebSocket over TLS without certificate": {
			func(c *config.Config) { c.Listen = listeners("wss://127.0.0.1/mqtt") },
			"listen wss://127.0.0.1/mqtt needs --tls-cert FILE and --tls-key FILE",
		},
		"TLS": {func(c *config.Config) {
			c.Listen, c.TLSCert, c.TLSKey = listeners("tls://127.0.0.1"), "c", "k"
		}, ""},
		"certificate alone": {
			func(c *config.Config) { c.TLSCert = "c" },
			"tls_cert is given without tls_key; add --tls-key FILE",
		},
		"key alone": {
			func(c *config.Config) { c.Listen, c.TLSKey = listeners("tls://127.0.0.1"), "k" },
			"tls_key is given without tls_cert; add --tls-cert FILE",
		},
		"data in memory": {
			func(c *config.Config) { c.InMemory = true },
			"in_memory keeps nothing on disk, but data is /data; leave one of them out",
		},
		"memory": {func(c *config.Config) { c.InMemory, c.Data = true, "" }, ""},
		"nowhere": {
			func(c *config.Config) { c.Data = "" },
			"no home directory to keep data in; pass --data DIR or --in-memory",
		},
		"twice": {
			func(c *config.Config) { c.Listen = listeners("tcp://LOCALHOST:1883", "mqtt://localhost") },
			"listen mqtt://localhost: listen tcp://LOCALHOST:1883 has the same address",
		},
		"any port twice": {func(c *config.Config) { c.Listen = listeners("tcp://[::1]:0", "ws://[::1]:0") }, ""},
		"admin's port": {
			func(c *config.Config) { c.Admin = "127.0.0.1:1883" },
			"admin 127.0.0.1:1883: listen tcp://127.0.0.1:1883 has the same address",
		},
		"no listener": {
			func(c *config.Config) { c.Listen = nil },
			`listen: want a list of addresses such as tcp://127.0.0.1:1883, not ""`,
		},
		"bad listener": {
			func(c *config.Config) { c.Listen = listeners("gopher://localhost") },
			`listen address "gopher://localhost": unknown scheme "gopher", use one of tcp, tls, ws, wss and unix`,
		},
		"unprintable listener": {
			func(c *config.Config) { c.Listen = listeners("unix:///a\u2028b") },
			`listen address "unix:///a\u2028b": want printable text`,
		},
		"origins of TCP": {
			func(c *config.Config) {
				c.Listen = []config.Listener{{URL: "tcp://127.0.0.1:1", Origins: []string{"a"}}}
			},
			"listen tcp://127.0.0.1:1: origins are for ws and wss, browsers connect to nothing else",
		},
		"bad origin": {
			func(c *config.Config) {
				c.Listen = []config.Listener{{URL: "ws://127.0.0.1:1", Origins: []string{"a", "[b"}}}
			},
			`listen ws://127.0.0.1:1: origins: want host names, perhaps with *, not "[b"`,
		},
		"ranges": {
			func(c *config.Config) { c.Shards, c.Limits.MaxQoS, c.LogLevel = 65, 3, slog.LevelInfo+1 },
			"shards: want a number from 0 to 64, not \"65\"\n" +
				"log_level: want debug, info, warn or error, not \"info+1\"\n" +
				"limits.max_qos: want a number from 0 to 2, not \"3\"",
		},
		"negative": {
			func(c *config.Config) { c.SysInterval, c.Limits.OutboundBuffer = -time.Second, -1 },
			"sys_interval: want a duration such as 10s, from 0s to 24h, not \"-1s\"\n" +
				"limits.outbound_buffer: want a size such as 64KiB, from 4KiB to 1GiB, not \"-1\"",
		},
		"unprintable": {
			func(c *config.Config) { c.PasswordFile = "a\x00" },
			`password_file: want printable text, not "a\x00"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid()
			tt.change(&c)
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("error %s\n want %s", got, tt.want)
			}
		})
	}
}

func TestLoadRefusesWhatValidateRefuses(t *testing.T) {
	_, _, err := load(t, "listen: [tcp://0.0.0.0:1883]\n", nil)
	want := "listen tcp://0.0.0.0:1883: anyone on the network could connect without a password; " +
		"configure authentication (--password-file FILE) or pass --allow-anonymous"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\n want %s", err, want)
	}
}

func TestWhoMayConnectWithoutAPassword(t *testing.T) {
	yes, no := true, false
	const local, remote = "tcp://127.0.0.1:1", "tcp://192.0.2.1:1"
	for name, tt := range map[string]struct {
		url          string
		here         *bool
		all          bool
		passwordFile string
		want         bool
	}{
		"local":                            {local, nil, false, "", true},
		"remote":                           {remote, nil, false, "", false},
		"local with passwords":             {local, nil, false, "users", false},
		"remote, all allowed":              {remote, nil, true, "", true},
		"all allowed beside passwords":     {remote, nil, true, "users", true},
		"remote, allowed here":             {remote, &yes, false, "users", true},
		"refused here, though all allowed": {remote, &no, true, "users", false},
		"local, refused":                   {local, &no, false, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid()
			c.AllowAnonymous, c.PasswordFile = tt.all, tt.passwordFile
			if got := c.Anonymous(config.Listener{URL: tt.url, AllowAnonymous: tt.here}); got != tt.want {
				t.Errorf("Anonymous = %v; want %v", got, tt.want)
			}
		})
	}
}
