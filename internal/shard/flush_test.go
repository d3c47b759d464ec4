package shard

import (
	"slices"
	"testing"
)

func TestWhatCanWaitLeavesLast(t *testing.T) {
	last := func(c *Conn, s string) { c.CommitLast(append(c.Reserve(len(s)), s...)) }
	for _, tt := range []struct {
		name  string
		write func(pub, sub *Conn)
		want  []string
	}{
		{"an acknowledgement is written before the message", func(pub, sub *Conn) {
			last(pub, "ack")
			sub.Write([]byte("message"))
		}, []string{"sub message", "pub ack"}},
		{"several, in the order they came", func(pub, sub *Conn) {
			last(pub, "ack1")
			last(sub, "ack2")
			last(pub, "ack3")
		}, []string{"pub ack1ack3", "sub ack2"}},
		{"a message follows an acknowledgement on one connection", func(pub, sub *Conn) {
			last(sub, "ack")
			last(pub, "ack")
			sub.Write([]byte("message"))
		}, []string{"sub ackmessage", "pub ack"}},
		{"an acknowledgement follows a message on one connection", func(pub, sub *Conn) {
			last(pub, "ack")
			sub.Write([]byte("message"))
			last(sub, "ack")
		}, []string{"sub messageack", "pub ack"}},
		{"closing lets it leave", func(pub, sub *Conn) {
			last(pub, "ack")
			pub.Close()
		}, []string{"pub ack"}},
	} {
		var notes []string
		l := newLoops(1)[0]
		l.drv, l.h = helper{l: l}, &echo{l: l, t: &tape{gone: make(chan error, 2)}}
		pub, sub := l.OpenPort(port{"pub", &notes}, nil), l.OpenPort(port{"sub", &notes}, nil)
		for range 2 { // the second turn finds nothing left of the first
			notes = nil
			l.Begin(1)
			tt.write(pub, sub)
			l.End()
			if pub.Closed() {
				break
			}
		}
		if !slices.Equal(notes, tt.want) {
			t.Errorf("%s: written %q, want %q", tt.name, notes, tt.want)
		}
	}
}

// A connection that moves belongs to another Loop at once: nothing of this one may touch it.
func TestMoveLeavesNoList(t *testing.T) {
	var notes []string
	ls := newLoops(2)
	l := ls[0]
	l.drv, l.h = helper{l: l}, &echo{l: l}
	c := l.OpenPort(port{"c", &notes}, nil)
	l.Begin(1)
	c.CommitLast(append(c.Reserve(3), "ack"...))
	c.Write([]byte("message"))
	c.Move(ls[1], nil)
	if slices.Contains(l.dirty, c) || slices.Contains(l.last, c) {
		t.Errorf("after Move the Loop still writes the connection: dirty %v, last %v", l.dirty, l.last)
	}
}
