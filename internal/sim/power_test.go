package sim

import (
	"errors"
	"testing"
)

func TestNothingAcknowledgedIsLostWhenThePowerFails(t *testing.T) {
	total := sweep(t, 1, powerSeeds, Plan{Store: Power})
	for what, n := range map[string]int{"deliveries": total.Delivered, "power cuts": total.Offs,
		"power cuts during a start": total.Again, "backups": total.Backups} {
		if n == 0 {
			t.Errorf("the schedules do too little to mean anything: no %s", what)
		}
	}
}

// losses plays schedules until one has lost something that was acknowledged.
func losses(t *testing.T, plan Plan, change func(*Script)) (seed uint64) {
	t.Helper()
	for seed := uint64(1); seed <= controlSeeds; seed++ {
		s := New(seed, plan)
		change(s)
		var f *Failure
		switch err := playErr(s); {
		case err == nil:
		case errors.As(err, &f) && (f.Promise == Durable || f.Promise == Delivered || f.Promise == WillKept || f.Promise == OneMember || f.Promise == Protocol):
			return seed
		default:
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	return 0
}

// onlyProcess replaces the cuts of the power by the end of the process.
func onlyProcess(s *Script) {
	for i := range s.Steps {
		if s.Steps[i].Verb == Off {
			s.Steps[i] = Step{Verb: Crash, A: s.Steps[i].A}
		}
	}
}

// A ledger that cannot see a loss proves nothing.
func TestWithoutFsyncTheLedgerSeesLosses(t *testing.T) {
	same := func(*Script) {}
	for name, tt := range map[string]struct {
		store  Store
		change func(*Script)
		lost   bool
	}{
		"os, power":     {PowerOS, same, true},
		"none, power":   {PowerNone, same, true},
		"none, process": {PowerNone, onlyProcess, true},
		"os, process":   {PowerOS, onlyProcess, false},
	} {
		t.Run(name, func(t *testing.T) {
			seed := losses(t, Plan{Store: tt.store}, tt.change)
			if seed > 0 != tt.lost {
				t.Errorf("seed that has lost something: %d", seed)
			}
			t.Logf("lost something: %d", seed)
		})
	}
}
