package clienttest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/client/clienttest"
)

var alphabet = []byte("abcdefghijklmnopqrstuvwxyz")

// spoiled is the alphabet with one letter, counted from 1, combined with mask.
func spoiled(n int, mask byte) []byte {
	out := slices.Clone(alphabet)
	out[n-1] ^= mask
	return out
}

// through sends the alphabet over a connection with faults, in writes of size bytes, and
// returns what comes out and what the faulty side was told.
func through(f clienttest.Faults, size int, sending bool) (out []byte, err error) {
	near, far := net.Pipe()
	faulty := f.Wrap(near)
	from, to := net.Conn(faulty), far
	if !sending {
		from, to = far, faulty
	}
	written := make(chan error, 1)
	go func() {
		defer from.Close()
		for part := range slices.Chunk(alphabet, size) {
			if _, err := from.Write(part); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	out, readErr := io.ReadAll(to)
	to.Close()
	if err = <-written; !sending {
		err = readErr
	}
	return out, err
}

func TestFaultsHitTheByteTheyName(t *testing.T) {
	for _, sending := range []bool{true, false} {
		for _, size := range []int{1, 5, 26} {
			for _, pieces := range []int{0, 1, 3} {
				for n := 1; n <= len(alphabet); n++ {
					cut, corrupt := clienttest.Faults{CutReceived: int64(n), Pieces: pieces}, clienttest.Faults{CorruptReceived: int64(n), Mask: 0x20, Pieces: pieces}
					if sending {
						cut, corrupt = clienttest.Faults{CutSent: int64(n), Pieces: pieces}, clienttest.Faults{CorruptSent: int64(n), Mask: 0x20, Pieces: pieces}
					}
					if got, err := through(cut, size, sending); !bytes.Equal(got, alphabet[:n-1]) || err == nil {
						t.Errorf("%+v, writes of %d: %q, %v, want %d letters", cut, size, got, err, n-1)
					}
					if got, err := through(corrupt, size, sending); !bytes.Equal(got, spoiled(n, 0x20)) || err != nil {
						t.Errorf("%+v, writes of %d: %q, %v", corrupt, size, got, err)
					}
				}
			}
		}
	}
}

func TestAConnectionWithoutFaultsIsLeftAlone(t *testing.T) {
	for _, sending := range []bool{true, false} {
		for _, f := range []clienttest.Faults{{}, {CutSent: 27, CutReceived: 28}, {CorruptSent: 27, CorruptReceived: 27}, {Pieces: 4}} {
			if got, err := through(f, 7, sending); !bytes.Equal(got, alphabet) || err != nil && !errors.Is(err, clienttest.ErrCut) {
				t.Errorf("%+v: %q, %v", f, got, err)
			}
		}
	}
	if got, _ := through(clienttest.Faults{CorruptSent: 3}, 26, true); !bytes.Equal(got, spoiled(3, 0xFF)) {
		t.Errorf("without a mask: %q", got)
	}
}

// A caller's bytes are not changed for those of the wire.
func TestCorruptionLeavesTheCallersBytesAlone(t *testing.T) {
	mine := slices.Clone(alphabet)
	near, far := net.Pipe()
	go func() {
		clienttest.Faults{CorruptSent: 2}.Wrap(near).Write(mine)
		near.Close()
	}()
	if got, _ := io.ReadAll(far); bytes.Equal(got, alphabet) || !bytes.Equal(mine, alphabet) {
		t.Errorf("%q came of %q", got, mine)
	}
}

func TestDelaysTakeTheirTime(t *testing.T) {
	for name, tt := range map[string]struct {
		f       clienttest.Faults
		sending bool
		want    time.Duration
	}{
		"sent":               {clienttest.Faults{DelaySent: time.Second}, true, 4 * time.Second},
		"received":           {clienttest.Faults{DelayReceived: time.Second}, false, 4 * time.Second},
		"the other way":      {clienttest.Faults{DelayReceived: time.Second}, true, 0},
		"of each piece sent": {clienttest.Faults{DelaySent: time.Second, Pieces: 1}, true, 26 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				if got, err := through(tt.f, 7, tt.sending); err != nil || !bytes.Equal(got, alphabet) {
					t.Errorf("%q, %v", got, err)
				}
				if d := time.Since(begun); d != tt.want {
					t.Errorf("took %v, want %v", d, tt.want)
				}
			})
		})
	}
}

func TestCloseEndsADelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		nc := clienttest.Faults{DelaySent: time.Hour}.Wrap(near)
		failed := make(chan error, 1)
		go func() {
			_, err := nc.Write(alphabet)
			failed <- err
		}()
		synctest.Wait()
		begun := time.Now()
		nc.Close()
		if err := <-failed; !errors.Is(err, net.ErrClosed) || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		far.Close()
	})
}

func TestTheDialerCountsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker(t)
		var asked []int
		c := connect(t, client.Options{ClientID: "c", Dial: b.Dialer(func(n int) clienttest.Faults {
			asked = append(asked, n)
			if n == 0 {
				return clienttest.Faults{CutReceived: 40}
			}
			return clienttest.Faults{}
		})})
		for range 20 {
			if err := c.Publish(t.Context(), client.Message{Topic: "a", QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(asked, []int{0, 1}) {
			t.Errorf("asked for %v", asked)
		}
	})
}

func ExampleFaults() {
	near, far := net.Pipe()
	nc := clienttest.Faults{CutSent: 6, CorruptSent: 2, Mask: 'a' ^ 'A'}.Wrap(near)
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(far)
		got <- b
	}()
	n, err := nc.Write([]byte("hello world"))
	fmt.Println(n, err)
	fmt.Printf("%s\n", <-got)
	// Output:
	// 5 connection cut by its faults
	// hEllo
}

func ExampleBroker_Dialer() {
	t := &testing.T{} // the test's own
	b := clienttest.NewBroker(t)
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Options{
		ClientID:  "kitchen",
		Reconnect: client.ReconnectOptions{Min: time.Millisecond},
		Dial: b.Dialer(func(n int) clienttest.Faults {
			if n == 0 {
				return clienttest.Faults{CutSent: 60} // in the middle of the third message
			}
			return clienttest.Faults{}
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	for _, s := range []string{"21.5", "21.6", "21.7"} {
		if err := c.Publish(ctx, client.Message{Topic: "temperature", Payload: []byte(s), QoS: 1}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(c.Stats().Connects, "connections")
	// Output: 2 connections
}
