// Package crash kills a broker, again and again, and holds it to its word: an
// acknowledged message is durable, and a QoS 2 message comes once.
//
// It builds the program, lets clients publish, subscribe and leave wills, ends it
// with SIGKILL at random instants, starts it again on the same data directory, and
// compares what the clients were promised with what they got. The clients are
// written here from package packet alone, and speak to the broker over TCP: what
// they believe owes nothing to the code under test. A control runs the same load
// on brokers that keep nothing, or acknowledge before they have stored, and demands
// that the losses are noticed.
//
// SIGKILL takes nothing from the system's caches, so it cannot tell a write from a
// write that has reached the disk; the journal's own tests cut the power.
//
//	go test ./test/crash -rounds 200 -seed 7 -v
package crash

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	rounds     = flag.Int("rounds", defaultRounds, "how often to end the broker")
	seed       = flag.Uint64("seed", 0, "seed of the schedule; 0 is a random one")
	rate       = flag.Float64("rate", 300, "messages a second of each publisher")
	brokerPath = flag.String("broker", "", "program to test instead of ./cmd/wirebird")
	serveFlags = flag.String("serve", "", "further flags of wirebird serve, separated by spaces")
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "wirebird-crash-build-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	n := *rounds
	if testing.Short() {
		n = min(n, shortRounds)
	}
	d := newDrama(t, strings.Fields(*serveFlags)...)
	d.play(n)
	if report := d.world.ledger.report(); report != "" {
		t.Errorf("broken promises, in schedule -seed %d:\n%s", d.seed, report)
	}
	sum := d.world.ledger.sum()
	t.Logf("%d rounds, %d starts (%v on average, at most %v): %+v", n, d.broker.starts,
		(d.broker.total / time.Duration(d.broker.starts)).Round(time.Millisecond), d.broker.slow.Round(time.Millisecond), sum)
	if sum.Acknowledged < 50*n || sum.Resent < n || sum.Delivered < sum.Acknowledged || sum.Audits == 0 || sum.Wills == 0 || sum.Sessions == 0 {
		t.Error("the load did too little to mean anything")
	}
}

// A control: a broker that keeps nothing must be found out, and so must one that
// acknowledges before it has stored. Such a one loses only what it has acknowledged within
// the last write: a few kills may all miss it, so there are more when they do.
func TestABrokerThatForgetsIsNoticed(t *testing.T) {
	for name, tt := range map[string]struct {
		flags []string
		want  []string
	}{
		"everything":           {[]string{inMemory}, []string{faultSession, faultMessage, faultRetained}},
		"what it has just got": {[]string{"--set", "durability=none"}, []string{faultMessage, faultDuplicate}},
	} {
		t.Run(name, func(t *testing.T) {
			var reports []string
			for range controlTries {
				d := newDrama(t, tt.flags...)
				d.world.patience = shortPatience
				d.end = d.knock
				d.play(controlRounds)
				tt.want = slices.DeleteFunc(tt.want, func(kind string) bool { return d.world.ledger.found(kind) > 0 })
				if len(tt.want) == 0 {
					return
				}
				reports = append(reports, d.world.ledger.report())
			}
			t.Errorf("no %q was noticed; what was:\n%s", tt.want, strings.Join(reports, "\n"))
		})
	}
}

// The other control: a broker that does not end, with clients whose connections do, gives
// no cause for complaint.
func TestABrokerThatLivesIsNotAccused(t *testing.T) {
	d := newDrama(t, inMemory)
	d.world.cutEvery = frequentCuts
	d.end = func(context.Context) {}
	d.play(controlRounds)
	if report := d.world.ledger.report(); report != "" {
		t.Errorf("in schedule -seed %d:\n%s", d.seed, report)
	}
	t.Logf("%+v", d.world.ledger.sum())
}

const (
	shortRounds   = 8
	controlRounds = 4
	controlTries  = 6
	rareCuts      = 1000
	frequentCuts  = 30
)
