package crash

// kept is what a retained topic may hold: a state from the last acknowledged one on.
type kept struct {
	qos         byte
	sent, acked int // numbers
}

// clears reports whether the message with a number removes the retained one: its payload
// is empty.
func clears(seq int) bool { return seq%7 == 0 }

func (l *ledger) keeping(m message) {
	k := l.keeps[m.topic]
	if k == nil {
		k = &kept{qos: m.qos}
		l.keeps[m.topic] = k
	}
	k.sent = max(k.sent, m.seq)
}

func (l *ledger) kept(m message) {
	k := l.keeps[m.topic]
	k.acked = max(k.acked, m.seq)
}

// audit is one reading of the retained messages by a new client.
type audit struct {
	l     *ledger
	floor map[string]int // number acknowledged when the reading began, by topic
	seen  map[string]bool
}

// audit begins a reading; call it before the SUBSCRIBE leaves.
func (l *ledger) audit() *audit {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &audit{l, map[string]int{}, map[string]bool{}}
	for name, k := range l.keeps {
		if k.acked > 0 {
			a.floor[name] = k.acked
		}
	}
	return a
}

// retained is told of each message that came with RETAIN set.
func (a *audit) retained(topic string, text []byte) {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	m, ok := parsePayload(text)
	r := a.l.records[m]
	if !ok || m.topic != topic || r == nil || clears(m.seq) {
		a.l.failLocked(faultGarbage, r, "retained on %q: %.60q, which nobody sent", topic, text)
		return
	}
	a.seen[topic] = true
	if floor := a.floor[topic]; m.seq < floor {
		newest := a.l.records[message{topic, m.qos, floor}]
		a.l.failLocked(faultRetained, newest, "a new subscriber got number %d after number %d was acknowledged", m.seq, floor)
	}
}

// missing returns the topics that must have a retained message and gave none yet.
func (a *audit) missing() []string {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	var names []string
	for name, floor := range a.floor {
		absent := false // it may be that there is none
		for n := floor; n <= a.l.keeps[name].sent; n++ {
			absent = absent || clears(n)
		}
		if !absent && !a.seen[name] {
			names = append(names, name)
		}
	}
	return names
}

// end tells that nothing more comes: what is missing is lost.
func (a *audit) end() {
	names := a.missing()
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.l.totals.Audits++
	for _, name := range names {
		newest := a.l.records[message{name, a.l.keeps[name].qos, a.floor[name]}]
		a.l.failLocked(faultRetained, newest, "a new subscriber got nothing on %s after number %d was acknowledged", name, a.floor[name])
	}
}
