package session

// Outbound is the sending half of a Session. Messages wait in its queue, and, from the
// first PUBLISH until the acknowledgement, in its window.
//
// Packet identifiers follow each other (1 to 65535 and round again), so that the window
// finds one by subtraction and holds the order of sending [MQTT-4.6.0-5]. The window
// therefore spans at most 65,535 identifiers: while the oldest Message stays
// unacknowledged, no more than that follow it.
type Outbound struct {
	// Tally, if it is not nil, is kept at the sum of Loaded of all that share it.
	Tally   *int64
	window  ring
	queue   ring
	bytes   int64  // of messages in queue
	loaded  int64  // ... that are at hand
	base    uint32 // sequence number of the window's first entry; identifier = base%65535 + 1
	cursor  int    // entries of the window before it have been sent on this connection
	live    int    // entries of the window that are not done
	soonest uint32 // when the first of queue expires at the earliest, unix seconds; 0 never
	quota   int    // PUBLISH packets that may be sent now [MQTT-4.9.0-1]
	max     int    // the peer's Receive Maximum; 0 while there is no connection
}

const identifiers = 65535

// Kind is what to do with what Next returns.
type Kind uint8

// The kinds of Next.
const (
	Nothing  Kind = iota
	Send          // PUBLISH
	Resend        // PUBLISH with DUP [MQTT-3.3.1-1]
	Release       // PUBREL
	Outdated      // the Message has expired: it is gone
	Absent        // the Message is stored and not at hand: see Missing and Fill
)

// Start begins a connection whose peer takes receiveMax unacknowledged messages. All
// that was not completed is to be sent again by Next [MQTT-4.4.0-1].
func (o *Outbound) Start(receiveMax int) {
	o.max, o.quota, o.cursor = receiveMax, receiveMax, 0
	for i := range o.window.n {
		o.window.at(i).charged = false
	}
}

// Stop ends the connection: Next returns Nothing until Start.
func (o *Outbound) Stop() { o.max, o.quota = 0, 0 }

// Push adds an entry behind all others. Its QoS is 1 or 2.
func (o *Outbound) Push(e Entry) {
	e.measure()
	o.enqueue(e)
}

func (o *Outbound) enqueue(e Entry) {
	o.queue.push(e)
	o.count(&e)
	o.expires(&e)
}

// count adds an entry that has come into the queue.
func (o *Outbound) count(e *Entry) {
	o.bytes += int64(e.Size)
	if e.Msg != nil {
		o.load(int64(e.Size))
	}
}

func (o *Outbound) dequeue() Entry {
	e := o.queue.pop()
	o.bytes -= int64(e.Size)
	if e.Msg != nil {
		o.load(-int64(e.Size))
	}
	return e
}

func (o *Outbound) load(bytes int64) {
	o.loaded += bytes
	if o.Tally != nil {
		*o.Tally += bytes
	}
}

func (o *Outbound) expires(e *Entry) {
	if e.Expires != 0 && (o.soonest == 0 || e.Expires < o.soonest) {
		o.soonest = e.Expires
	}
}

// Shift removes and returns the message that has waited longest; ok is false when none waits.
func (o *Outbound) Shift() (e Entry, ok bool) {
	if o.queue.n == 0 {
		return Entry{}, false
	}
	return o.dequeue(), true
}

// Purge removes and returns the waiting messages that have expired. It looks at the queue
// only when there may be one.
func (o *Outbound) Purge(now int64) []Entry {
	if o.soonest == 0 || int64(o.soonest)*1e9 > now {
		return nil
	}
	return o.Take(func(e *Entry) bool { return e.Expired(now) })
}

// Next takes what is to be sent next: first what an earlier connection left, in its
// order, then new messages as the send quota allows. The entry belongs to the window.
func (o *Outbound) Next(now int64) (Kind, uint16, *Entry) {
	if o.max == 0 {
		return Nothing, 0, nil
	}
	for o.cursor < o.window.n {
		e := o.window.at(o.cursor)
		switch {
		case e.state == released:
			o.cursor++
			return Release, o.id(o.cursor - 1), e
		case e.state == done:
			o.cursor++
			continue
		case o.quota == 0:
			return Nothing, 0, nil
		case e.Msg == nil:
			return Absent, 0, e
		}
		o.quota--
		o.cursor++
		e.charged = true
		return Resend, o.id(o.cursor - 1), e
	}
	if o.queue.n == 0 || o.quota == 0 || o.window.n >= identifiers {
		return Nothing, 0, nil
	}
	head := o.queue.at(0)
	expired := head.Expired(now)
	if head.Msg == nil && !expired {
		return Absent, 0, head
	}
	e := o.dequeue()
	if expired {
		return Outdated, 0, &e
	}
	id, w := o.enter(e)
	return Send, id, w
}

// Direct puts an entry into the window at once, as Push followed by Next would, when
// nothing waits before it and the quota allows; else it returns 0.
func (o *Outbound) Direct(e Entry) uint16 {
	if o.quota == 0 || o.queue.n > 0 || o.cursor < o.window.n || o.window.n >= identifiers {
		return 0
	}
	id, _ := o.enter(e)
	return id
}

func (o *Outbound) enter(e Entry) (uint16, *Entry) {
	e.state, e.charged = waiting, true
	o.window.push(e)
	o.quota--
	o.cursor++
	o.live++
	return o.id(o.window.n - 1), o.window.at(o.window.n - 1)
}

func (o *Outbound) id(i int) uint16 { return uint16((o.base+uint32(i))%identifiers + 1) }

// find returns the window's entry for id, and its place; nil when there is none.
func (o *Outbound) find(id uint16) (*Entry, int) {
	if id == 0 {
		return nil, 0
	}
	i := (int(id) - 1 - int(o.base%identifiers) + identifiers) % identifiers
	if i >= o.window.n {
		return nil, 0
	}
	e := o.window.at(i)
	if e.state == done {
		return nil, 0
	}
	return e, i
}

// Puback completes a QoS 1 delivery and returns its entry; ok is false when id is none's.
func (o *Outbound) Puback(id uint16) (e Entry, ok bool) {
	p, i := o.find(id)
	if p == nil || p.QoS != 1 {
		return Entry{}, false
	}
	return o.complete(p, i), true
}

// Pubrec advances a QoS 2 delivery: PUBREL is due when ok [MQTT-4.3.3-4]. A refused one,
// with a reason code of 0x80 or above, is complete [MQTT-4.4.0-2]: gone.
func (o *Outbound) Pubrec(id uint16, refused bool) (e Entry, gone, ok bool) {
	p, i := o.find(id)
	if p == nil || p.QoS != 2 {
		return Entry{}, false, false
	}
	if refused && p.state != released {
		return o.complete(p, i), true, true
	}
	p.state = released
	e = *p
	p.Msg = nil // it is never sent again [MQTT-4.3.3-6]
	return e, false, true
}

// Pubcomp completes a QoS 2 delivery; ok is false when id is none's or PUBREC has not come.
func (o *Outbound) Pubcomp(id uint16) (e Entry, ok bool) {
	p, i := o.find(id)
	if p == nil || p.state != released {
		return Entry{}, false
	}
	return o.complete(p, i), true
}

// Discard completes a delivery that Next or Direct has begun and that cannot be sent,
// as if it had been [MQTT-3.1.2-25].
func (o *Outbound) Discard(id uint16) {
	if p, i := o.find(id); p != nil {
		o.complete(p, i)
	}
}

func (o *Outbound) complete(p *Entry, i int) Entry {
	e := *p
	*p = Entry{state: done}
	o.live--
	if e.charged && o.quota < o.max {
		// A PUBCOMP for a PUBREL sent again gives nothing back: its PUBLISH took from an
		// earlier connection's quota. The letter of §4.9 would credit it, and so send
		// more than the peer's Receive Maximum.
		o.quota++
	}
	for o.window.n > 0 && o.window.at(0).state == done {
		o.window.pop()
		o.base = (o.base + 1) % identifiers
		if o.cursor > 0 {
			o.cursor--
		}
	}
	return e
}

// Inflight is the number of deliveries begun and not complete.
func (o *Outbound) Inflight() int { return o.live }

// Queued is the number of messages that wait for their first PUBLISH.
func (o *Outbound) Queued() int { return o.queue.n }

// QueuedBytes is the size of the messages that Queued counts.
func (o *Outbound) QueuedBytes() int64 { return o.bytes }

// Loaded is that part of QueuedBytes whose messages are at hand.
func (o *Outbound) Loaded() int64 { return o.loaded }

// Waiting tells whether Next has something to send as soon as it is allowed to.
func (o *Outbound) Waiting() bool { return o.queue.n > 0 || o.cursor < o.window.n }

// Idle tells that nothing is in flight and nothing waits.
func (o *Outbound) Idle() bool { return o.queue.n == 0 && o.window.n == 0 }

// Each calls fn for every entry, those in flight first, each part in order. id is 0 for
// entries that wait; owed tells that PUBREL is next.
func (o *Outbound) Each(fn func(id uint16, owed bool, e *Entry)) {
	for i := range o.window.n {
		if e := o.window.at(i); e.state != done {
			fn(o.id(i), e.state == released, e)
		}
	}
	for i := range o.queue.n {
		fn(0, false, o.queue.at(i))
	}
}

// TakeFirst is Take for the first most entries that it would return.
func (o *Outbound) TakeFirst(most int, fn func(e *Entry) bool) []Entry {
	var taken, kept []Entry
	for len(taken) < most && o.queue.n > 0 {
		e := o.dequeue()
		if fn(&e) {
			taken = append(taken, e)
		} else {
			kept = append(kept, e)
		}
	}
	for i := len(kept) - 1; i >= 0; i-- {
		o.queue.pushFront(kept[i])
		o.count(&kept[i])
	}
	return taken
}

// Take removes and returns, in order, the waiting entries for which fn is true.
func (o *Outbound) Take(fn func(e *Entry) bool) []Entry {
	var taken []Entry
	o.soonest = 0
	for range o.queue.n {
		e := o.dequeue()
		if fn(&e) {
			taken = append(taken, e)
		} else {
			o.enqueue(e)
		}
	}
	return taken
}

// String names the kind in tests and logs.
func (k Kind) String() string {
	return [...]string{"nothing", "send", "resend", "release", "outdated", "absent"}[k]
}
