//go:build linux && !wirebird_goroutine

package shard

import _ "unsafe" // for go:linkname

// The runtime's monitor preempts a goroutine that it has seen run for 10 ms, and a wait
// that the scheduler does not see counts as running. Preemption, like runtime.Gosched,
// wakes another thread, which takes the Loop over, often on another CPU: a message that
// comes meanwhile waits for all that. A yield within the processor wakes nobody, and the
// monitor counts anew.

const yieldEvery = 3e6 // nanoseconds; with heldWaitMs below the monitor's 10 ms

//go:linkname goyield runtime.goyield
func goyield()

// yield keeps the monitor content. The turn must not be held: whoever runs next may want it.
func (d *epoll) yield(now int64) {
	if d.spare && now-d.yielded >= yieldEvery {
		d.yielded = now
		goyield()
	}
}
