package conform_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/conform"
	"github.com/wirebird/wirebird/packet"
)

// patience is for checks that pass, or fail by what comes; haste for those that fail
// because nothing comes.
const (
	patience = 20 * time.Second
	haste    = 50 * time.Millisecond
)

func run(t *testing.T, o conform.Options) []conform.CheckResult {
	t.Helper()
	checks, err := conform.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

func TestChecksAreChosen(t *testing.T) {
	b := (&fake{}).start(t)
	for name, tt := range map[string]struct {
		v       packet.Version
		pattern string
		want    []string
	}{
		"by name":                 {packet.V5, "^pingreq$", []string{"pingreq"}},
		"by statement":            {packet.V5, "MQTT-3.12.4-1", []string{"pingreq"}},
		"by a glob of statements": {packet.V5, "MQTT-3.12.*", []string{"pingreq"}},
		"by version":              {packet.V31, "ping", []string{"v31-pingreq"}},
		"5.0 is what 0 means":     {0, "^(pingreq|suback-codes-in-order)$", []string{"suback-codes-in-order", "pingreq"}},
		"several, in their order": {packet.V311, "pingreq|client-id-letters", []string{"client-id-letters", "pingreq"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range run(t, conform.Options{Address: b.address(), Version: tt.v, Pattern: tt.pattern, Timeout: patience}) {
				got = append(got, c.Name)
				if c.Outcome != conform.Pass {
					t.Errorf("%s: %s %s", c.Name, c.Outcome, c.Reason)
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("ran %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRunRefusesWhatItCannotDo(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	b := (&fake{}).start(t)
	for name, tt := range map[string]struct {
		o    conform.Options
		want error  // or
		text string // in its text
	}{
		"nobody listens":      {conform.Options{Address: closed.Addr().String()}, conform.ErrUnreachable, "refused"},
		"nothing matches":     {conform.Options{Address: b.address(), Pattern: "MQTT-9.9.9-9"}, conform.ErrNothingToDo, "MQTT-9.9.9-9"},
		"no port":             {conform.Options{Address: "localhost"}, nil, "want HOST:PORT"},
		"no port, WebSocket":  {conform.Options{Address: b.address(), WebSocket: "localhost/mqtt"}, nil, "want HOST:PORT/PATH"},
		"no version":          {conform.Options{Address: b.address(), Version: 6}, nil, "no version 6"},
		"no pattern":          {conform.Options{Address: b.address(), Pattern: "("}, nil, "pattern"},
		"a negative timeout":  {conform.Options{Address: b.address(), Timeout: -1}, nil, "over 0"},
		"a negative number":   {conform.Options{Address: b.address(), Parallel: -1}, nil, "over 0"},
		"MQTT is not for ws:": {conform.Options{Address: "ws://" + b.address() + "/mqtt", Timeout: patience}, conform.ErrUnreachable, "upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := conform.Run(t.Context(), tt.o)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	b := (&fake{}).start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conform.Run(ctx, conform.Options{Address: b.address(), Timeout: haste, Parallel: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestOutcomes(t *testing.T) {
	for name, tt := range map[string]struct {
		b    *fake
		o    conform.Options
		want conform.Outcome
		why  string
	}{
		"as it should be":        {&fake{}, conform.Options{Pattern: "^pingreq$", Timeout: patience}, conform.Pass, ""},
		"nothing comes":          {&fake{mute: true}, conform.Options{Pattern: "^pingreq$", Timeout: haste}, conform.Fail, "a< nothing came within 50ms, expected PINGRESP"},
		"bytes come":             {&fake{garbage: true}, conform.Options{Pattern: "^pingreq$", Timeout: patience}, conform.Fail, "breaks the format"},
		"the connection ends":    {&fake{}, conform.Options{Pattern: "^publish-acknowledged$", Timeout: patience}, conform.Fail, "closed the connection, expected PUBACK id=1"},
		"it should have ended":   {&fake{patient: true}, conform.Options{Pattern: "^subscription-identifier-from-a-client$", Timeout: haste}, conform.Fail, "keeps the connection open, expected it to close"},
		"nobody is let in":       {&fake{refuse: packet.NotAuthorized}, conform.Options{Pattern: "^pingreq$", Timeout: patience}, conform.Skip, "--user"},
		"no address is given":    {&fake{}, conform.Options{Pattern: "^websocket-text$", Timeout: patience}, conform.Skip, "--ws"},
		"no credentials":         {&fake{}, conform.Options{Pattern: "^auth-succeeds$", Timeout: patience}, conform.Skip, "--user and --password"},
		"the server is not able": {&fake{refuse: packet.ServerBusy}, conform.Options{Pattern: "^pingreq$", Timeout: patience}, conform.Fail, "server-busy came, expected CONNACK success"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.o.Address = tt.b.start(t).address()
			c := run(t, tt.o)[0]
			if c.Outcome != tt.want || !strings.Contains(c.Reason, tt.why) || (tt.want == conform.Pass) != (c.Reason == "") {
				t.Errorf("%s %q, want %s %q", c.Outcome, c.Reason, tt.want, tt.why)
			}
			if tt.want == conform.Fail && len(c.Events) == 0 {
				t.Error("a failure without events")
			}
		})
	}
}

func TestCredentialsAreSent(t *testing.T) {
	b := (&fake{}).start(t)
	run(t, conform.Options{Address: b.address(), Pattern: "^pingreq$", Username: "alice", Password: "secret", Timeout: patience})
	if got := b.users(); got != "alice:secret" {
		t.Errorf("the broker has seen %q, want alice:secret", got)
	}
}

// A broker in use must not mistake one check's clients or topics for another's.
func TestChecksDoNotMeet(t *testing.T) {
	b := (&fake{}).start(t)
	run(t, conform.Options{Address: b.address(), Pattern: "^(pingreq|suback-codes-in-order|subscribe-answered)$", Timeout: patience})
	run(t, conform.Options{Address: b.address(), Pattern: "^(pingreq|suback-codes-in-order|subscribe-answered)$", Timeout: patience})
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := map[string]bool{}
	for _, p := range b.seen {
		if c, ok := p.(*packet.Connect); ok {
			if seen[string(c.ClientID)] {
				t.Errorf("the client identifier %q came twice", c.ClientID)
			}
			seen[string(c.ClientID)] = true
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d client identifiers, want 6", len(seen))
	}
}

func TestVersionsAreRead(t *testing.T) {
	for in, want := range map[string]packet.Version{"3.1": packet.V31, "3.1.1": packet.V311, "5.0": packet.V5, "5": packet.V5, "4": 0, "": 0} {
		got, err := conform.ParseVersion(in)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseVersion(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
}
