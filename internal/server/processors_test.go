package server

import (
	"runtime"
	"testing"
)

func TestEventLoopsLeaveAProcessorToTheRest(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, tt := range []struct {
		env                string
		procs, shards, now int
	}{
		{"", 2, 2, 3},
		{"", 2, 4, 5},
		{"", 3, 2, 3},
		{"", 8, 1, 8},
		{"2", 2, 2, 2},
	} {
		t.Setenv("GOMAXPROCS", tt.env)
		runtime.GOMAXPROCS(tt.procs)
		raiseProcessors(tt.shards)
		if got := runtime.GOMAXPROCS(0); got != tt.now {
			t.Errorf("GOMAXPROCS=%q, %d processors, %d shards: %d processors; want %d", tt.env, tt.procs, tt.shards, got, tt.now)
		}
	}
}
