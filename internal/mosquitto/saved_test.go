package mosquitto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loaded is the connection that the options come down to, in a line.
func loaded(t *testing.T, c Call) string {
	t.Helper()
	cfg, err := c.load()
	if err != nil {
		if saved, ok := errors.AsType[*savedError](err); ok {
			return saved.Error()
		}
		t.Fatal(err)
	}
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return *s
	}
	return fmt.Sprintf("%s:%d unix=%v ws=%v user=%s id=%s prefix=%s", cfg.host, cfg.port, cfg.unix, cfg.ws, text(cfg.username), text(cfg.id), text(cfg.idPrefix))
}

func TestSavedConnections(t *testing.T) {
	home := []string{"--host", "home", "--port", "1", "--ws", "--username", "alice", "--id", "me"}
	find := func(name string) ([]string, error) {
		switch name {
		case "", "home":
			return home, nil
		case "odd":
			return []string{"--colour", "red"}, nil
		}
		return nil, fmt.Errorf("Error: no %q", name)
	}
	for name, tt := range map[string]struct {
		args, file string
		want       string
	}{
		"the one in use":       {"", "", "home:1 unix=false ws=true user=alice id=me prefix=-"},
		"the one named":        {"--context home", "", "home:1 unix=false ws=true user=alice id=me prefix=-"},
		"one that is not":      {"--context away", "", `Error: no "away"`},
		"one of another tool":  {"--context odd", "", "Error: the saved connection has --colour, which 'pub' has not."},
		"another server":       {"-h away", "", "away:-1 unix=false ws=false user=- id=- prefix=-"},
		"another socket":       {"--unix /s", "", "/s:-1 unix=true ws=false user=- id=- prefix=-"},
		"another URL":          {"-L mqtt://away/t", "", "away:1883 unix=false ws=false user=- id=- prefix=-"},
		"its user elsewhere":   {"--context home -h away", "", "away:-1 unix=false ws=false user=alice id=me prefix=-"},
		"another port":         {"-p 2", "", "home:2 unix=false ws=true user=alice id=me prefix=-"},
		"another user":         {"--username=bob", "", "home:1 unix=false ws=true user=bob id=me prefix=-"},
		"another prefix":       {"-I x", "", "home:1 unix=false ws=true user=alice id=- prefix=x"},
		"a message that looks": {"-r -D publish user-property --context x -i own", "", "home:1 unix=false ws=true user=alice id=own prefix=-"},
		"over the file":        {"", "-h file\n-I filed\n-u filed\n", "home:1 unix=false ws=true user=alice id=me prefix=-"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "mosquitto_pub"), []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("XDG_CONFIG_HOME", dir)
			args := append(strings.Fields(tt.args), "-t", "t", "-m", "m")
			if got := loaded(t, Call{Tool: Pub, Name: "wirebird pub", Args: args, Saved: find}); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
	t.Run("never under Mosquitto's name", func(t *testing.T) {
		t.Setenv("XDG_CONFIG_HOME", t.TempDir())
		c := Call{Tool: Pub, Name: "mosquitto_pub", Args: []string{"-t", "t", "-m", "m", "--context", "home"}}
		if _, err := c.load(); err == nil || !strings.Contains(err.Error(), "Unknown option '--context'") {
			t.Errorf("%v", err)
		}
	})
}

func TestCompletions(t *testing.T) {
	for name, tt := range map[string]struct {
		tool  Tool
		args  string
		words string // some of them
		files bool
		dirs  bool
	}{
		"options":              {Pub, "", "--topic -t --retain", false, false},
		"not those of others":  {Sub, "", "!--stdin-line --verbose", false, false},
		"behind an argument":   {Pub, "-t x", "--message", false, false},
		"QoS":                  {Sub, "-q", "0 1 2", false, false},
		"files":                {Pub, "-f", "", true, false},
		"directories":          {Pub, "--capath", "", false, true},
		"no topics":            {Pub, "-t", "", false, false},
		"contexts":             {RR, "--context", "home away", false, false},
		"versions":             {Pub, "-V", "5 311 31", false, false},
		"TLS versions":         {Pub, "--tls-version", "tlsv1.3", false, false},
		"packets":              {Pub, "-D", "connect publish !puback", false, false},
		"properties":           {Pub, "-D publish", "content-type !subscription-identifier !will-delay-interval", false, false},
		"no values":            {Pub, "-D publish content-type", "", false, false},
		"behind a property":    {Pub, "-D publish user-property k v", "--topic", false, false},
		"hashes":               {Passwd, "-H", "argon2id", false, false},
		"options or the file":  {Passwd, "-c", "-b", true, false},
		"what follows options": {Passwd, "-c file", "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := tt.tool.Complete(strings.Fields(tt.args), []string{"home", "away"})
			have := map[string]bool{}
			for _, w := range c.Words {
				w, _, _ = strings.Cut(w, "\t")
				have[w] = true
			}
			for _, w := range strings.Fields(tt.words) {
				if rest, no := strings.CutPrefix(w, "!"); no == have[rest] {
					t.Errorf("%s: %v", w, have[rest])
				}
			}
			if tt.words == "" && len(c.Words) > 0 || c.Files != tt.files || c.Dirs != tt.dirs {
				t.Errorf("%+v", c)
			}
		})
	}
}
