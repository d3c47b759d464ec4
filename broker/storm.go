package broker

// storm bounds how often clients come, and how often one session changes hands.
type storm struct {
	connects  pace
	takeovers map[string]*pace // by Client Identifier, of those that are not rested
	sweepAt   int              // size of takeovers at which rested ones are let go
}

// pace lets one thing happen in each interval, and some more after a rest.
type pace struct {
	next int64 // when all would be rested, unix nanoseconds
}

// take reports whether one more may happen now: one in each interval, and as many at once
// as intervals go into rest. All are nanoseconds.
func (p *pace) take(now, interval, rest int64) bool {
	at := max(p.next, now)
	if at+interval > now+rest {
		return false
	}
	p.next = at + interval
	return true
}

// Times, in nanoseconds, of quiet after which as many clients as would have come in them
// may come at once.
const (
	connectRest  = int64(10e9)
	takeoverRest = int64(60e9)
)

// mayConnect counts a CONNECT against MaxConnectRate.
func (k *core) mayConnect() bool {
	rate := int64(k.limits.MaxConnectRate)
	if rate < 0 {
		return true
	}
	if !k.storm.connects.take(k.l.Now(), int64(1e9)*int64(k.b.o.Shards)/rate, connectRest) {
		k.stats.connectsOverRate++
		return false
	}
	return true
}

const sweepTakeovers = 1024

// mayTakeOver counts a takeover against MaxTakeoverRate.
func (k *core) mayTakeOver(clientID string) bool {
	rate, now := int64(k.limits.MaxTakeoverRate), k.l.Now()
	if rate < 0 {
		return true
	}
	st := &k.storm
	p := st.takeovers[clientID]
	if p == nil {
		if len(st.takeovers) >= st.sweepAt {
			st.sweep(now)
		}
		p = new(pace)
		st.takeovers[clientID] = p
	}
	if !p.take(now, takeoverRest/rate, takeoverRest) {
		k.stats.takeoversRefused++
		return false
	}
	return true
}

// sweep lets go of sessions that have not changed hands for a while.
func (st *storm) sweep(now int64) {
	if st.takeovers == nil {
		st.takeovers = make(map[string]*pace)
	}
	for id, p := range st.takeovers {
		if p.next <= now {
			delete(st.takeovers, id)
		}
	}
	st.sweepAt = max(sweepTakeovers, 2*len(st.takeovers))
}
