package server

import (
	"os"
	"runtime"
)

// cpus is the number of processors that the Go runtime has found for this process, or
// has been told of.
var cpus = runtime.GOMAXPROCS(0)

// raiseProcessors gives the Go runtime one processor more than there are event loops, so
// that a loop can wait without giving its own away (shard.Options.Loops) and all else,
// the journal first, finds one at once. The kernel shares out the real ones. Whoever has
// set GOMAXPROCS has decided, and nothing is changed; otherwise the runtime no longer
// follows a limit of processors that changes while the process runs.
func raiseProcessors(shards int) {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) <= shards {
		runtime.GOMAXPROCS(shards + 1)
	}
}
