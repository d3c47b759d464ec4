package shard

// Send hands m to another Loop at the end of this turn. It may only be called in this
// Loop's turn. Mail from one Loop to another keeps its order.
func (l *Loop) Send(to *Loop, m any) {
	l.out[to.id] = append(l.out[to.id], m)
}

// Post hands m to the Loop from any goroutine. A func() is run instead of passed on.
func (l *Loop) Post(m any) {
	l.mu.Lock()
	l.inbox = append(l.inbox, m)
	l.mu.Unlock()
	l.rouse()
}

// rouse wakes the Loop, at most once until it sleeps again.
func (l *Loop) rouse() {
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.drv.wake()
	}
}

func (l *Loop) postOut() {
	for id, list := range l.out {
		if len(list) == 0 {
			continue
		}
		to, light := l.peers[id], allLight(list) // once it is there, it may be gone already
		to.mu.Lock()
		to.inbox = append(to.inbox, list...)
		to.mu.Unlock()
		switch {
		case to == l:
		case light && to.asleep.Load():
			l.helping = append(l.helping, to)
		default:
			to.rouse()
		}
		clear(list)
		l.out[id] = list[:0]
	}
}

// Light is mail that may tell that it makes little work.
type Light interface{ Light() bool }

// allLight tells whether waking another thread would cost more than what list asks for.
func allLight(list []any) bool {
	if len(list) > 1 {
		return false
	}
	m, ok := list[0].(Light)
	return ok && m.Light()
}

// helpOthers runs a turn of sleeping Loops for the little that this one has sent them.
func (l *Loop) helpOthers() {
	for i, to := range l.helping {
		l.helping[i] = nil
		if to.drv.help(l.now) {
			l.helped++
		} else {
			to.rouse()
		}
	}
	l.helping = l.helping[:0]
}

// HasMail tells whether the next turn has mail.
func (l *Loop) HasMail() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) > 0
}

// Peers are all Loops of the group, this one among them, by ID.
func (l *Loop) Peers() []*Loop { return l.peers }
