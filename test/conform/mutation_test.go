package conform

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wirebird/wirebird/internal/conform"
	"github.com/wirebird/wirebird/packet"
)

// fromBroker is a fault that changes packets of one type; fn may return nil to drop one.
func fromBroker[P packet.Packet](fn func(l *link, p P) packet.Packet) fault {
	return fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
		typed, ok := p.(P)
		if !ok {
			return [][]byte{b}
		}
		if q := fn(l, typed); q != nil {
			return [][]byte{q.Append(nil, l.v)}
		}
		return nil
	}}
}

// fromClient is fromBroker for the other direction.
func fromClient[P packet.Packet](fn func(l *link, p P) packet.Packet) fault {
	return fault{fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
		typed, ok := p.(P)
		if !ok {
			return [][]byte{b}
		}
		if q := fn(l, typed); q != nil {
			return [][]byte{q.Append(nil, l.v)}
		}
		return nil
	}}
}

// edit changes a packet of the broker in place.
func edit[P packet.Packet](fn func(p P)) fault {
	return fromBroker(func(_ *link, p P) packet.Packet { fn(p); return p })
}

// alter changes a packet of the client in place: the broker then does something else than
// it was asked for.
func alter[P packet.Packet](fn func(p P)) fault {
	return fromClient(func(_ *link, p P) packet.Packet { fn(p); return p })
}

// lenient is a broker that ignores packets that break the format.
var lenient = fault{fromClient: func(_ *link, p packet.Packet, b []byte) [][]byte {
	if p == nil {
		return nil
	}
	return [][]byte{b}
}}

// raw changes the bytes of the broker's packets of a type.
func raw(t packet.Type, fn func(b []byte) []byte) fault {
	return fault{fromBroker: func(_ *link, p packet.Packet, b []byte) [][]byte {
		if p.Type() == t {
			b = fn(b)
		}
		return [][]byte{b}
	}}
}

// overlong writes the length with a byte too many.
func overlong(b []byte) []byte {
	if b[1] >= 0x80 {
		return b
	}
	return append([]byte{b[0], b[1] | 0x80, 0}, b[2:]...)
}

func flag0(b []byte) []byte { b[0] ^= 1; return b }

type mutation struct {
	fault
	v    packet.Version
	must string // names of checks that must fail
}

// mutations are all of them.
func mutations(t *testing.T) map[string]mutation {
	all := map[string]mutation{}
	for _, group := range []map[string]mutation{ruleMutations(), connectMutations(), authMutations(), topicMutations(),
		messageMutations(), flowMutations(), subscribeMutations(), sharedMutations(), disconnectMutations(), willMutations(), v31Mutations()} {
		for name, m := range group {
			if _, twice := all[name]; twice {
				t.Fatalf("two mutations are called %q", name)
			}
			all[name] = m
		}
	}
	return all
}

func ruleMutations() map[string]mutation {
	v5, v311, v31 := packet.V5, packet.V311, packet.V31
	return map[string]mutation{
		"DUP is never set":             {edit(func(p *packet.Publish) { p.Dup = false }), v5, "resend qos-1-from-the-broker qos-2-from-the-broker resend-order"},
		"DUP is always set":            {edit(func(p *packet.Publish) { p.Dup = p.QoS > 0 }), v311, "dup-is-not-passed-on resend-without-a-repeat-has-no-dup"},
		"session present is flipped":   {edit(func(p *packet.Connack) { p.SessionPresent = !p.SessionPresent }), v5, "session-is-resumed session-is-new clean-discards-a-session connack-flags"},
		"session present is never set": {edit(func(p *packet.Connack) { p.SessionPresent = false }), v311, "session-is-resumed client-id-is-the-session takeover-resumes"},
		"lengths are not minimal":      {raw(packet.PUBLISH, overlong), v5, "shortest-integer"},
		"PUBACK has flags":             {raw(packet.PUBACK, flag0), v311, "flags-of-the-broker"},
		"PUBREL has no flags":          {raw(packet.PUBREL, func(b []byte) []byte { b[0] = 0x60; return b }), v311, "pubrel-flags-sent"},
		"RETAIN is always passed on":   {edit(func(p *packet.Publish) { p.Retain = true }), v5, "retain-flag-of-existing-subscriptions retain-as-published"},
		"RETAIN is never set":          {edit(func(p *packet.Publish) { p.Retain = false }), v311, "retained-is-kept will-retained"},
		"nothing is retained":          {alter(func(p *packet.Publish) { p.Retain = false }), v5, "retained-is-kept retain-handling-0 retained-will"},
		"all is retained": {alter(func(p *packet.Publish) { p.Retain = len(p.Payload) > 0 }), v311,
			"retain-0-leaves-it"},
		"user properties are sorted": {edit(func(p *packet.Publish) {
			slices.SortFunc(p.Properties.User, func(a, b packet.User) int { return strings.Compare(string(a.Key), string(b.Key)) })
		}), v5, "user-properties will-properties"},
		"properties are dropped": {edit(func(p *packet.Publish) { p.Properties.Reset() }), v5,
			"user-properties payload-format response-topic correlation-data content-type subscription-identifier message-expiry-sent-on"},
		"content type is changed": {edit(func(p *packet.Publish) {
			if p.Properties.Has(packet.PropContentType) {
				p.Properties.ContentType = []byte("other")
			}
		}), v5, "content-type"},
		"expiry is not counted down": {edit(func(p *packet.Publish) {
			if p.Properties.Has(packet.PropMessageExpiry) {
				p.Properties.MessageExpiry = 1000
			}
		}), v5, "message-expiry-sent-on"},
		"messages never expire": {alter(func(p *packet.Publish) {
			if p.Properties.Has(packet.PropMessageExpiry) {
				p.Properties.MessageExpiry = 5000
			}
		}), v5, "message-expiry"},
		"a/# does not match a": {fromBroker(func(_ *link, p *packet.Publish) packet.Packet {
			if strings.HasSuffix(string(p.Topic), "/a") && string(p.Payload) == "x" && p.QoS == 0 {
				return nil
			}
			return p
		}), v311, "hash-matches-its-parent"},
		"Receive Maximum is ignored": {alter(func(p *packet.Connect) { p.Properties.Unmark(packet.PropReceiveMax) }), v5,
			"receive-maximum-of-the-client receive-maximum-after-a-resume receive-maximum-counts-from-0-again"},
		"Maximum Packet Size is ignored": {alter(func(p *packet.Connect) { p.Properties.Unmark(packet.PropMaxPacketSize) }), v5,
			"maximum-packet-size maximum-packet-size-and-retained maximum-packet-size-with-properties"},
		"Retain Handling is ignored": {alter(func(p *packet.Subscribe) {
			for i := range p.Filters {
				p.Filters[i].RetainHandling = 0
			}
		}), v5, "retain-handling-1 retain-handling-2"},
		"Retain As Published is ignored": {alter(func(p *packet.Subscribe) {
			for i := range p.Filters {
				p.Filters[i].RetainAsPublished = false
			}
		}), v5, "retain-as-published"},
		"No Local is ignored": {alter(func(p *packet.Subscribe) {
			for i := range p.Filters {
				p.Filters[i].NoLocal = false
			}
		}), v5, "no-local no-local-and-shared"},
		"QoS is granted and not kept": {edit(func(p *packet.Publish) { p.QoS = min(p.QoS, 1) }), v311, "delivery-qos overlapping-subscriptions"},
		"SUBACK has another identifier": {edit(func(p *packet.Suback) { p.ID = p.ID%65535 + 1 }), v311,
			"subscribe-answered suback-repeats-identifier suback-codes-in-order"},
		"SUBACK has its codes reversed":   {edit(func(p *packet.Suback) { slices.Reverse(p.Codes) }), v5, "suback-codes-in-order"},
		"UNSUBACK has another identifier": {edit(func(p *packet.Unsuback) { p.ID = p.ID%65535 + 1 }), v5, "unsuback-repeats-identifier unsubscribe-answered"},
		"UNSUBACK has its codes reversed": {edit(func(p *packet.Unsuback) {
			slices.Reverse(p.Codes)
			p.Codes[0] = packet.Success
			p.Codes = p.Codes[:1]
		}), v5, "unsubscribe-many"},
		"UNSUBSCRIBE does nothing": {fault{fromClient: func(_ *link, p packet.Packet, b []byte) [][]byte {
			if u, ok := p.(*packet.Unsubscribe); ok {
				u.Filters = [][]byte{[]byte("no/such/filter")}
				b = u.Append(nil, packet.V311)
			}
			return [][]byte{b}
		}}, v311, "unsubscribe-is-exact unsubscribe-stops-messages"},
		"PINGREQ is not answered": {fromBroker(func(*link, *packet.Pingresp) packet.Packet { return nil }), v5, "pingreq"},
		"PUBACK is not sent":      {fromBroker(func(*link, *packet.Puback) packet.Packet { return nil }), v311, "publish-acknowledged qos-1-to-the-broker"},
		"PUBACK has another identifier": {edit(func(p *packet.Puback) { p.ID = p.ID%65535 + 1 }), v5,
			"acknowledgements-repeat-identifiers"},
		"PUBCOMP is not sent": {fromBroker(func(*link, *packet.Pubcomp) packet.Packet { return nil }), v5, "publish-acknowledged qos-2-to-the-broker"},
		"PUBREL is not sent":  {fromBroker(func(*link, *packet.Pubrel) packet.Packet { return nil }), v311, "qos-2-from-the-broker pubrel-repeats-identifier"},
		"QoS 2 is delivered twice": {fault{fromClient: func(l *link, p packet.Packet, b []byte) [][]byte {
			if m, ok := p.(*packet.Publish); ok && m.Dup && m.QoS == 2 { // a new message for the broker
				m.ID += 100
				b = m.Append(nil, packet.V311)
			}
			return [][]byte{b}
		}}, v311, "qos-2-to-the-broker unreleased-is-session-state"},
		"packet identifiers repeat": {edit(func(p *packet.Publish) { p.ID = min(p.ID, 1) }), v5, "identifiers-of-the-broker"},
		"messages change places": {fault{fromBroker: func(l *link, p packet.Packet, b []byte) [][]byte {
			m, ok := p.(*packet.Publish)
			if !ok || m.QoS == 0 {
				return [][]byte{b}
			}
			if l.kept = append(l.kept, b); len(l.kept) < 2 {
				return nil
			}
			two := [][]byte{l.kept[1], l.kept[0]}
			l.kept = nil
			return two
		}}, v311, "resend-order order"},
		"wills are dropped": {alter(func(p *packet.Connect) { p.Will = nil }), v311, "will-after-a-cut takeover-publishes-the-will takeover-of-a-kept-session-publishes-the-will will-retained keep-alive"},
		"wills outlive a DISCONNECT": {fromClient(func(*link, *packet.Disconnect) packet.Packet {
			return &packet.Disconnect{Code: packet.DisconnectWithWill}
		}), v5, "will-and-disconnect"},
		"will delay is ignored": {alter(func(p *packet.Connect) {
			if p.Will != nil {
				p.Will.Properties.Unmark(packet.PropWillDelay)
			}
		}), v5, "will-delay will-delay-and-reconnect"},
		"keep alive is ignored":         {alter(func(p *packet.Connect) { p.KeepAlive = 0 }), v31, "keep-alive"},
		"sessions are never kept":       {alter(func(p *packet.Connect) { p.CleanStart = true }), v311, "session-is-resumed session-survives-a-cut resend order-of-a-queue"},
		"clean start is ignored":        {alter(func(p *packet.Connect) { p.CleanStart = false }), v5, "clean-discards-a-session"},
		"session expiry is ignored":     {alter(func(p *packet.Connect) { p.Properties.SessionExpiry = 300; p.Properties.Mark(packet.PropSessionExpiry) }), v5, "session-expires session-expiry-0 clean-session-ends-with-its-connection"},
		"takeover has no DISCONNECT":    {fromBroker(func(*link, *packet.Disconnect) packet.Packet { return nil }), v5, "takeover re-authentication-fails"},
		"no identifier is assigned":     {edit(func(p *packet.Connack) { p.Properties.Unmark(packet.PropAssignedClientID) }), v5, "client-id-empty"},
		"byte order marks are stripped": {alter(func(p *packet.Publish) { p.Topic = []byte(strings.ReplaceAll(string(p.Topic), "\ufeff", "")) }), v311, "byte-order-mark"},
		"case is ignored":               {alter(func(p *packet.Publish) { p.Topic = []byte(strings.ToLower(string(p.Topic))) }), v311, "matching-changes-nothing hash-matches-its-parent"},
		"response information comes unasked": {edit(func(p *packet.Connack) {
			p.Properties.Mark(packet.PropResponseInfo)
			p.Properties.ResponseInfo = []byte("x")
		}), v5,
			"no-response-information connack-fits"},
		"SUBACK has 0x80 in MQTT 3.1": {raw(packet.SUBACK, func(b []byte) []byte { b[len(b)-1] = 0x80; return b }), v31, "v31-no-failure-in-suback subscribe-answered"},
		"a 24th character is taken":   {alter(func(p *packet.Connect) { p.ClientID = p.ClientID[:min(23, len(p.ClientID))] }), v31, "v31-client-id-of-24"},
		"malformed packets are ignored": {lenient, v5, "reserved-flags pubrel-flags subscribe-flags unsubscribe-flags auth-flags qos-3 nul utf8-topic-name " +
			"utf8-subscribe utf8-unsubscribe utf8-properties overlong-integer identifier-0 wildcards-in-a-topic-name topic-of-no-characters " +
			"no-filter subscribe-options unsubscribe-no-filter alias-0 subscription-identifier-0 puback-codes pubrec-codes pubrel-codes pubcomp-codes " +
			"disconnect-codes auth-codes property-twice violation-closes dup-at-qos-0 wildcards-in-a-response-topic will-after-a-violation"},
		"malformed packets are ignored in 3.1.1": {lenient, v311, "reserved-flags pubrel-flags subscribe-flags unsubscribe-flags disconnect-flags qos-3 nul " +
			"utf8-connect utf8-will-topic utf8-username reserved-connect-flag will-qos-3 will-flag-0-with-qos will-flag-0-with-retain " +
			"password-without-user-name client-id-missing user-name-missing password-missing will-fields-missing connect-malformed"},
	}
}

// A check that cannot fail is worth nothing: each of these brokers breaks one rule, and
// the checks of that rule must see it.
func TestChecksSeeBrokenBrokers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	broker := start(t, true)
	var all []broken
	for name, m := range mutations(t) {
		o := broker.options(m.v)
		o.Address = breakBroker(t, broker.tcp, m.fault)
		all = append(all, broken{name: name, o: o, must: m.must})
	}
	mustFail(t, all)
}

// broken is a run of checks against a broker that breaks a rule.
type broken struct {
	name string
	o    conform.Options
	must string // names of checks that must fail

	checks []conform.CheckResult
	err    error
}

// atOnce is how many runs go on at a time: they wait more than they work.
const atOnce = 16

// mustFail runs the named checks and wants all of them to fail.
func mustFail(t *testing.T, all []broken) {
	t.Helper()
	next := make(chan *broken)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for b := range next {
				b.o.Timeout = time.Second
				b.o.Pattern = "^(" + strings.ReplaceAll(b.must, " ", "|") + ")$"
				b.checks, b.err = conform.Run(t.Context(), b.o)
			}
		})
	}
	for i := range all {
		next <- &all[i]
	}
	close(next)
	wg.Wait()
	for _, b := range all {
		t.Run(b.name, func(t *testing.T) {
			if want := len(strings.Fields(b.must)); b.err != nil || len(b.checks) != want {
				t.Fatalf("%d checks run, want %d; %v", len(b.checks), want, b.err)
			}
			for _, c := range b.checks {
				if c.Outcome != conform.Fail {
					t.Errorf("%s: %s %s, want FAIL", c.Name, c.Outcome, c.Reason)
				}
			}
		})
	}
}

// unbroken are the checks that no mutation breaks, each with its reason.
var unbroken = map[string]string{}

// Each check is broken by a mutation, or says why not, and not both.
func TestEveryCheckCanFail(t *testing.T) {
	broken := map[string]bool{}
	for _, m := range mutations(t) {
		for _, name := range strings.Fields(m.must) {
			broken[name] = true
		}
	}
	for _, m := range webSocketMutations() {
		for _, name := range strings.Fields(m.must) {
			broken[name] = true
		}
	}
	for _, name := range conform.Names() {
		switch why, ok := unbroken[name]; {
		case !broken[name] && why == "":
			t.Errorf("no mutation breaks %s, and no reason is given", name)
		case broken[name] && ok:
			t.Errorf("a mutation breaks %s, and a reason is given why none does", name)
		}
		delete(broken, name)
	}
	for name := range broken {
		t.Errorf("a mutation names %s, which is no check", name)
	}
}
