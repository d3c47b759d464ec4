package simulate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wirebird/wirebird/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTemplates(t *testing.T) {
	born := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	g := &Group{}
	for text, want := range map[string]string{
		`plain {"a":{"b":1}}`:      `^plain \{"a":\{"b":1\}\}$`,
		"{{n}}/{{seq}}":            "^7/3$",
		"{{time}}":                 `^2026-01-02T03:04:05.006Z$`,
		"{{unix}} {{unixms}}":      `^1767323045 1767323045006$`,
		"{{int -2 -2}}":            `^-2$`,
		"{{int 1 9}}":              `^[1-9]$`,
		"{{float 1 2}}":            `^(1(\.\d{1,3})?|2)$`,
		"{{ choice a b c }}":       `^[abc]$`,
		"{{bool}}":                 `^(true|false)$`,
		"{{hex 4}}":                `^[0-9a-f]{8}$`,
		"{{uuid}}":                 `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
		"{{sine 20 0 1s}}":         `^20$`,
		"{{walk 5 1}}{{walk 6 1}}": `^56$`,
	} {
		tpl, err := ParseTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		d := g.device(1, 7, born)
		d.seq = 3
		if got := tpl.text(d, born); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"{{": "no }}", "{{}}": "nothing stands", "{{foo}}": "unknown", "{{n 1}}": "no arguments", "{{int 2 1}}": "least",
		"{{int 1.5 2}}": "whole", "{{float a 2}}": "no number", "{{choice}}": "one word", "{{hex 0}}": "bytes",
		"{{sine 1 2}}": "period", "{{sine 1 2 x}}": "no time", "{{walk 1 -1}}": "step", "{{float NaN 1}}": "no number",
	} {
		if _, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ...%s...", text, err, want)
		}
	}
}

func TestSineAndWalkMove(t *testing.T) {
	tpl, err := ParseTemplate("{{sine 0 10 4s}}")
	if err != nil {
		t.Fatal(err)
	}
	d := (&Group{}).device(0, 0, time.Unix(0, 0))
	var got []string
	for s := range 4 {
		got = append(got, tpl.text(d, time.Unix(int64(s), 0)))
	}
	if fmt.Sprint(got) != "[0 10 0 -10]" {
		t.Errorf("%v", got)
	}
	walk, err := ParseTemplate("{{walk 0 2}}")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 20 {
		seen[walk.text(d, time.Time{})] = true
	}
	if len(seen) < 10 {
		t.Errorf("a walk of 20 steps was at %d places", len(seen))
	}
}

// fleet takes what devices publish, in a bubble of synctest.
type fleet struct {
	mu        sync.Mutex
	began     time.Time
	log       []string
	open      int
	refuse    func(attempt int) error
	attempts  int
	published func()
}

type plug struct {
	f  *fleet
	id string
}

func (f *fleet) connect(_ context.Context, id string) (Publisher, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempts++
	if f.refuse != nil {
		if err := f.refuse(f.attempts); err != nil {
			return nil, err
		}
	}
	f.open++
	return plug{f, id}, nil
}

func (p plug) Publish(_ context.Context, m client.Message) error {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.log = append(p.f.log, fmt.Sprintf("%v %s %s %s q%d", time.Since(p.f.began), p.id, m.Topic, m.Payload, m.QoS))
	if p.f.published != nil {
		p.f.published()
	}
	return nil
}

func (p plug) Close() error {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	p.f.open--
	return nil
}

func TestDevicesComeByAndByAndPublishInTheirInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{began: time.Now()}
		s, err := Run(t.Context(), Options{Connect: f.connect, Groups: []Group{{
			Devices: 2, ClientID: "d{{n}}", Topic: "t/{{n}}", Payload: "{{seq}}", Interval: 10 * time.Second, QoS: 1,
			RampUp: 4 * time.Second, Messages: 2,
		}}})
		want := "[0s d0 t/0 0 q1 2s d1 t/1 0 q1 10s d0 t/0 1 q1 12s d1 t/1 1 q1]"
		if err != nil || fmt.Sprint(f.log) != want || f.open != 0 {
			t.Errorf("%v, %v, %d open\nwant %s", f.log, err, f.open, want)
		}
		if s.Devices != 2 || s.Connected != 2 || s.Published != 4 || s.Bytes != 4 || s.Failed+s.Refused+s.Late != 0 || s.Elapsed != 12*time.Second {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheEndOfTheContextEndsAllDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{began: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), 30500*time.Millisecond)
		defer cancel()
		told := 0
		s, err := Run(ctx, Options{
			Connect: f.connect, Progress: func(Stats) { told++ },
			Groups: []Group{{Devices: 1000, ClientID: "{{n}}", Topic: "t", Interval: 10 * time.Second}},
		})
		if err != nil || s.Connected != 1000 || s.Published < 3000 || s.Published > 4000 || f.open != 0 || told != 30 {
			t.Errorf("%+v, %v, %d open, told %d times", s, err, f.open, told)
		}
	})
}

func TestAFirstRefusalEndsAllAndALaterOneIsTriedAgain(t *testing.T) {
	group := Group{Devices: 3, ClientID: "{{n}}", Topic: "t", Interval: time.Second, Messages: 1, RampUp: 3 * time.Second}
	no := errors.New("no")
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{refuse: func(int) error { return no }}
		if s, err := Run(t.Context(), Options{Connect: f.connect, Groups: []Group{group}}); err != no || s.Refused != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{refuse: func(n int) error {
			if n == 2 {
				return no
			}
			return nil
		}}
		if s, err := Run(t.Context(), Options{Connect: f.connect, Groups: []Group{group}}); err != nil || s.Refused != 1 || s.Published != 3 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestGroupsNameWhatCannotBe(t *testing.T) {
	good := Group{Devices: 2, ClientID: "{{n}}", Topic: "t", Interval: 1}
	for want, change := range map[string]func(*Group){
		"devices":           func(g *Group) { g.Devices = 0 },
		"qos":               func(g *Group) { g.QoS = 3 },
		"interval":          func(g *Group) { g.Interval = 0 },
		"ramp_up":           func(g *Group) { g.RampUp = -1 },
		"topic: there":      func(g *Group) { g.Topic = "" },
		"topic: \"a/#\"":    func(g *Group) { g.Topic = "a/#" },
		"same for all":      func(g *Group) { g.ClientID = "x" },
		"payload: {{x}}":    func(g *Group) { g.Payload = "{{x}}" },
		"group \"a\": qos:": func(g *Group) { g.Name, g.QoS = "a", 9 },
	} {
		g := good
		change(&g)
		if _, err := Run(t.Context(), Options{Groups: []Group{g}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ...%s...", err, want)
		}
	}
}

func TestScenarioFiles(t *testing.T) {
	s, err := ReadScenario(strings.NewReader(`
version: 1
duration: 5m
groups:
  - name: sensor
    devices: 3
    topic: sensors/{{n}}
    payload: '{"t": {{sine 20 5 60s}}}'
    interval: 2s
    qos: 1
  - name: door
    topic: doors
`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Duration != 5*time.Minute || len(s.Groups) != 2 || s.Groups[0].Interval != 2*time.Second || s.Groups[0].ClientID != "sensor-{{n}}" ||
		s.Groups[1].Devices != 1 {
		t.Errorf("%+v", s)
	}
	if err := (&Options{Groups: s.Groups}).Validate(); err != nil {
		t.Error(err)
	}
	for in, want := range map[string]string{
		"":                            "empty",
		"version: 2":                  "version",
		"version: 1\ncolour: red":     "2:1",
		"version: 1\nduration: later": "duration",
	} {
		if _, err := ReadScenario(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want ...%s...", in, err, want)
		}
	}
}
