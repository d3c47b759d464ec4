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
		to := l.peers[id]
		to.mu.Lock()
		to.inbox = append(to.inbox, list...)
		to.mu.Unlock()
		clear(list)
		l.out[id] = list[:0]
		if to != l {
			to.rouse()
		}
	}
}

// HasMail tells whether the next turn has mail.
func (l *Loop) HasMail() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) > 0
}

// Peers are all Loops of the group, this one among them, by ID.
func (l *Loop) Peers() []*Loop { return l.peers }
