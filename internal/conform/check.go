package conform

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// check is a conversation that fails when the statements it names are broken.
type check struct {
	name string
	// v31, v311 and v5 are the statements it checks in each version, without the
	// MQTT- before them, separated by spaces. In a version without any it does not run.
	v31, v311, v5 string
	run           func(t *trial)
}

func (c *check) ids(v packet.Version) []string {
	text, prefix := c.v5, "MQTT-"
	switch v {
	case packet.V31:
		text, prefix = c.v31, "MQTT31-"
	case packet.V311:
		text = c.v311
	}
	ids := strings.Fields(text)
	for i := range ids {
		ids[i] = prefix + ids[i]
	}
	return ids
}

// checks are all there are.
func checks() []check {
	return slices.Concat(stringChecks(), headerChecks(), identifierChecks(), connectChecks(), clientIDChecks(),
		connackChecks(), sessionChecks(), takeoverChecks(), willChecks(), keepAliveChecks(), publishChecks(),
		retainChecks(), subscribeChecks(), unsubscribeChecks(), topicChecks(), deliveryChecks(), qosChecks(),
		resendChecks(), orderChecks(), flowChecks(), propertyChecks(), expiryChecks(), aliasChecks(), sizeChecks(),
		subscriptionIDChecks(), sharedChecks(), disconnectChecks(), authChecks(), webSocketChecks(), v31Checks())
}

// Outcome is what a check, or all checks of a statement, came to.
type Outcome string

// The outcomes.
const (
	Pass Outcome = "PASS"
	Fail Outcome = "FAIL"
	Skip Outcome = "SKIP"
)

// trial is one run of a check. Its methods end the check when something is not as they
// want it.
type trial struct {
	o       *Options
	v       packet.Version
	tag     string // unique among all checks, letters and digits only
	outcome Outcome
	reason  string // of a failure or a skip
	events  []Event
	conns   []*conn

	sessions []string // names of clients whose session outlives the connection
	retained []string // topics with a retained message

	connRefused bool // no network connection at all
}

// play runs the check to its end.
func (t *trial) play(c *check) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer t.close()
		t.outcome = Fail
		t.reason = "the check ended early"
		c.run(t)
		t.outcome, t.reason = Pass, ""
	}()
	<-done
	if len(t.sessions)+len(t.retained) > 0 {
		t.clean()
	}
}

// close closes what is open.
func (t *trial) close() {
	for _, c := range t.conns {
		c.nc.Close()
	}
	t.conns = nil
}

// fail ends the check.
func (t *trial) fail(format string, args ...any) {
	t.outcome, t.reason = Fail, brief(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// skip ends the check without a verdict.
func (t *trial) skip(format string, args ...any) {
	t.outcome, t.reason = Skip, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (t *trial) is5() bool { return t.v == packet.V5 }

// pick chooses by version.
func (t *trial) pick(v3, v5 string) string {
	if t.is5() {
		return v5
	}
	return v3
}

// text puts the tag of the check in the place of ~.
func (t *trial) text(s string) string { return strings.ReplaceAll(s, "~", t.tag) }

// keep are the words of a CONNECT whose session is kept for some minutes.
func (t *trial) keep() string { return t.pick("", "expiry=300") }

// clean removes sessions and retained messages. What it cannot do it leaves.
func (t *trial) clean() {
	done := make(chan struct{})
	helper := &trial{o: t.o, v: t.v, tag: t.tag}
	go func() {
		defer close(done)
		defer helper.close()
		if len(t.retained) > 0 {
			c := helper.connect("z", "clean")
			for _, name := range t.retained {
				c.write(&packet.Publish{Topic: []byte(name), Retain: true})
			}
			c.ping()
		}
		for _, name := range t.sessions {
			helper.connect(name, "clean").disconnect()
		}
	}()
	<-done
}

// patience is how long the check waits for what must come.
func (t *trial) patience() time.Time { return time.Now().Add(t.o.Timeout) }

// publishBytes is a PUBLISH, which may be one that no client should send.
func publishBytes(v packet.Version, flags byte, topic string, id uint16, props, payload []byte) []byte {
	b, _ := packet.AppendPublish(nil, v, flags, topic, id, props, payload)
	return b
}
