package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const topic = "building/floor/room/temperature"

var payload = make([]byte, 64)

// window is how many messages a publisher that does not wait has under way.
const window = 1000

// peer is a client as this program sees it.
type peer interface {
	// publish returns when the message was published, as its QoS says.
	publish(ctx context.Context, qos byte) error
	// start publishes without waiting. The token tells when the message was published,
	// and is nil if the client cannot tell; those that follow it then tell.
	start(ctx context.Context, qos byte) (token, error)
	// subscribe calls fn for each message.
	subscribe(ctx context.Context, qos byte, fn func()) error
	close()
}

// token stands for a message that is under way.
type token interface{ wait(context.Context) error }

func connect(ctx context.Context, name, url string) (peer, error) {
	switch name {
	case "wirebird 5.0":
		return newWirebird(ctx, url, 5)
	case "wirebird 3.1.1":
		return newWirebird(ctx, url, 4)
	case "paho.golang":
		return newPaho(ctx, url)
	case "paho.mqtt.golang":
		return newPahoMQTT(url)
	}
	return nil, fmt.Errorf("no client %q", name)
}

// result is what a process found out about its client.
type result struct {
	Rate   float64 // messages a second
	CPU    float64 // microseconds of a message
	Allocs float64 // of a message
}

// work measures one client in this process.
func work(ctx context.Context, name, spec, profile string) error {
	var j job
	if err := json.Unmarshal([]byte(spec), &j); err != nil {
		return err
	}
	p, err := connect(ctx, name, j.URL)
	if err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(fmt.Sprintf("%s.%s", profile, name))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var res result
	if j.Receive {
		res, err = receive(ctx, p, j)
	} else {
		fmt.Println("ready")
		if err = send(ctx, p, j, j.Messages/10); err == nil { // to warm up
			from := take()
			err = send(ctx, p, j, j.Messages)
			res = take().since(from, j.Messages)
		}
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(res); err != nil {
		return err
	}
	p.close()
	return nil
}

// send publishes n messages and returns when all were.
func send(ctx context.Context, p peer, j job, n int) error {
	if j.Workers == 0 {
		return stream(ctx, p, j.QoS, n)
	}
	errs := make(chan error, j.Workers)
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range j.Workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := p.publish(ctx, j.QoS); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func stream(ctx context.Context, p peer, qos byte, n int) error {
	var under [window]token
	for i := range n {
		if t := under[i%window]; t != nil {
			if err := t.wait(ctx); err != nil {
				return err
			}
		}
		var err error
		if under[i%window], err = p.start(ctx, qos); err != nil {
			return err
		}
	}
	for _, t := range under {
		if t != nil {
			if err := t.wait(ctx); err != nil {
				return err
			}
		}
	}
	return p.publish(ctx, max(1, qos)) // after all that went before it
}

func receive(ctx context.Context, p peer, j job) (res result, err error) {
	var from sample
	done := make(chan sample, 1)
	got, first := 0, j.Messages/10
	err = p.subscribe(ctx, j.QoS, func() {
		switch got++; got {
		case first:
			from = take()
		case j.Messages:
			done <- take()
		}
	})
	if err != nil {
		return res, err
	}
	fmt.Println("ready")
	select {
	case to := <-done:
		return to.since(from, j.Messages-first), nil
	case <-ctx.Done():
		return res, errors.New("not all messages came")
	}
}

// sample is what the process has used up.
type sample struct {
	at     time.Time
	cpu    time.Duration
	allocs uint64
}

func take() sample {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return sample{time.Now(), time.Duration(u.Utime.Nano() + u.Stime.Nano()), m.Mallocs}
}

func (s sample) since(from sample, n int) result {
	return result{
		Rate:   float64(n) / s.at.Sub(from.at).Seconds(),
		CPU:    float64((s.cpu - from.cpu).Nanoseconds()) / 1000 / float64(n),
		Allocs: float64(s.allocs-from.allocs) / float64(n),
	}
}
