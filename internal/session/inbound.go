package session

// Inbound is the receiving half of a Session: the QoS 2 messages that were accepted and
// not yet released by the peer [MQTT-4.3.3-10].
type Inbound struct {
	unreleased ids
}

// Accept notes a QoS 2 PUBLISH. It reports false for a repeat, which is answered by
// PUBREC again and not delivered again.
func (in *Inbound) Accept(id uint16) bool {
	if in.unreleased.has(id) {
		return false
	}
	in.unreleased.add(id)
	return true
}

// Has tells whether id was accepted and not released.
func (in *Inbound) Has(id uint16) bool { return in.unreleased.has(id) }

// Release forgets id on PUBREL; false when it was not known.
func (in *Inbound) Release(id uint16) bool { return in.unreleased.remove(id) }

// Len is the number of unreleased messages; they count against our Receive Maximum.
func (in *Inbound) Len() int { return in.unreleased.n }

// Each calls fn for each unreleased identifier, in no order.
func (in *Inbound) Each(fn func(id uint16)) { in.unreleased.each(fn) }
