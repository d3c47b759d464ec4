package broker_test

import (
	"testing"

	"github.com/wirebird/wirebird/broker"
)

// What waits in a session keeps its Subscription Identifiers, whatever is published to
// other topics meanwhile [MQTT-3.3.4-4].
func TestQueuedMessagesKeepTheirSubscriptionIdentifiers(t *testing.T) {
	s := newStage(t, broker.Options{})
	p, a := s.open(), s.open()
	p.say("CONNECT v5 id=p clean")
	p.expect("CONNACK success")
	a.say("CONNECT v5 id=a expiry=100 receive-max=1", "SUBSCRIBE id=1 sub-id=1 filter=a/# q1",
		"SUBSCRIBE id=2 sub-id=2 filter=a/+ q1", "SUBSCRIBE id=3 sub-id=3 filter=b/# q1", "SUBSCRIBE id=4 sub-id=4 filter=b/+ q1")
	a.expect("CONNACK success", "SUBACK id=1 q1", "SUBACK id=2 q1", "SUBACK id=3 q1", "SUBACK id=4 q1")
	p.say("PUBLISH q1 id=1 topic=a/1 payload=1", "PUBLISH q1 id=2 topic=a/2 payload=2", "PUBLISH q1 id=3 topic=b/3 payload=3")
	p.expect("PUBACK id=1", "PUBACK id=2", "PUBACK id=3")
	a.expect("PUBLISH q1 id=1 topic=a/1 payload=1 sub-id=1 sub-id=2")
	a.say("PUBACK id=1")
	a.expect("PUBLISH q1 id=2 topic=a/2 payload=2 sub-id=1 sub-id=2")
	a.say("PUBACK id=2")
	a.expect("PUBLISH q1 id=3 topic=b/3 payload=3 sub-id=3 sub-id=4")
	a.cut()
	s.finish()
}
