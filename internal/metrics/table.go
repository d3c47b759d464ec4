package metrics

import (
	"strconv"
	"strings"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/packet"
)

const (
	buildInfo     = "wirebird_build_info"
	buildInfoHelp = "Always 1. Its labels tell which version runs where, for a look at a rolling upgrade."
)

// metric is one name with its values, out of figures S.
type metric[S any] struct {
	name, help string
	label      string // "" is none
	read       func(s *S, emit func(v float64, label string))
}

// counter tells a counter, which only grows, from a gauge.
func (m metric[S]) counter() bool { return strings.HasSuffix(m.name, "_total") }

// number is a type of the figures in Stats.
type number interface{ uint64 | int64 }

// one is a metric without labels.
func one[T number, S any](name string, get func(s *S) T, help string) metric[S] {
	return metric[S]{name: name, help: help, read: func(s *S, emit func(float64, string)) {
		emit(float64(get(s)), "")
	}}
}

// byType is a metric of packets by their type; types that never came are there as 0.
func byType(name string, get func(s *broker.Stats) map[packet.Type]uint64, help string) metric[broker.Stats] {
	return metric[broker.Stats]{name: name, label: "type", help: help, read: func(s *broker.Stats, emit func(float64, string)) {
		all := get(s)
		for t := packet.CONNECT; t <= packet.AUTH; t++ {
			emit(float64(all[t]), t.String())
		}
	}}
}

// byQoS is a metric of PUBLISH packets by their QoS.
func byQoS(name string, get func(s *broker.Stats) [3]uint64, help string) metric[broker.Stats] {
	return metric[broker.Stats]{name: name, label: "qos", help: help, read: func(s *broker.Stats, emit func(float64, string)) {
		for qos, n := range get(s) {
			emit(float64(n), strconv.Itoa(qos))
		}
	}}
}

// byCode is a metric by reason code; codes that never came are left out.
func byCode(name string, get func(s *broker.Stats) map[packet.ReasonCode]uint64, help string) metric[broker.Stats] {
	return metric[broker.Stats]{name: name, label: "reason", help: help, read: func(s *broker.Stats, emit func(float64, string)) {
		for code, n := range get(s) {
			emit(float64(n), code.String())
		}
	}}
}

// metrics are all metrics that come from Stats, in the order of the reference page.
func metrics() []metric[broker.Stats] {
	var all []metric[broker.Stats]
	all = append(all, trafficMetrics()...)
	all = append(all, copyMetrics()...)
	all = append(all, connectionMetrics()...)
	all = append(all, sessionMetrics()...)
	return append(all, protocolMetrics()...)
}

func trafficMetrics() []metric[broker.Stats] {
	return []metric[broker.Stats]{
		{
			name: "wirebird_uptime_seconds",
			help: "Time since the broker started. A fall to 0 that nobody planned is a crash; look at the log before it.",
			read: func(s *broker.Stats, emit func(float64, string)) { emit(s.Uptime.Seconds(), "") },
		},
		byType("wirebird_packets_received_total", func(s *broker.Stats) map[packet.Type]uint64 { return s.PacketsIn },
			"MQTT packets from clients. The rate by type tells what clients do; many CONNECT and few PUBLISH are clients that reconnect in a loop."),
		byType("wirebird_packets_sent_total", func(s *broker.Stats) map[packet.Type]uint64 { return s.PacketsOut },
			"MQTT packets to clients."),
		one("wirebird_received_bytes_total", func(s *broker.Stats) uint64 { return s.BytesIn },
			"Bytes of MQTT packets from clients, without TLS, WebSocket and TCP. Compare the rate with the network's capacity."),
		one("wirebird_sent_bytes_total", func(s *broker.Stats) uint64 { return s.BytesOut },
			"Bytes of MQTT packets to clients, without TLS, WebSocket and TCP. Compare the rate with the network's capacity."),
		byQoS("wirebird_messages_received_total", func(s *broker.Stats) [3]uint64 { return s.MessagesIn },
			"PUBLISH packets from clients. The rate is the load; capacity planning begins here."),
		byQoS("wirebird_messages_sent_total", func(s *broker.Stats) [3]uint64 { return s.MessagesOut },
			"PUBLISH packets to clients, repetitions included. Divided by those received it is the fan-out."),
		one("wirebird_payload_received_bytes_total", func(s *broker.Stats) uint64 { return s.PayloadIn },
			"Payload bytes of messages from clients. Divided by the messages it is their mean size."),
		one("wirebird_payload_sent_bytes_total", func(s *broker.Stats) uint64 { return s.PayloadOut },
			"Payload bytes of messages to clients."),
	}
}

// copyMetrics are the sides of the law of conservation.
func copyMetrics() []metric[broker.Stats] {
	return []metric[broker.Stats]{
		one("wirebird_messages_routed_total", func(s *broker.Stats) uint64 { return s.Routed },
			"Copies of messages, one for each session that a message goes to."),
		one("wirebird_messages_delivered_total", func(s *broker.Stats) uint64 { return s.Delivered },
			"Copies handed to the connection (QoS 0) or acknowledged by the client (QoS 1 and 2)."),
		one("wirebird_messages_expired_total", func(s *broker.Stats) uint64 { return s.Expired },
			"Copies whose Message Expiry Interval passed before they were sent. Growth means consumers that come too late."),
		one("wirebird_messages_inflight", func(s *broker.Stats) int64 { return s.Inflight },
			"Copies sent and not yet acknowledged, now. A value that stays high is clients that do not acknowledge."),
		one("wirebird_messages_queued", func(s *broker.Stats) int64 { return s.Queued },
			"Copies that wait in sessions to be sent, now. Steady growth is a consumer that is away or too slow; it ends in drops."),
		one("wirebird_messages_queued_bytes", func(s *broker.Stats) int64 { return s.QueuedBytes },
			"Memory that the waiting copies stand for, now. Alert on it before the machine's memory is full."),
		{
			name: "wirebird_messages_dropped_total", label: "reason",
			help: "Messages, or copies of them, that were not delivered, by the reasons below. Alert on slow_consumer and queue_full: data is lost.",
			read: func(s *broker.Stats, emit func(float64, string)) {
				for _, d := range broker.Drops() {
					emit(float64(s.Dropped[d]), d.String())
				}
			},
		},
		{
			name: "wirebird_messages_unbalanced",
			help: "Copies that the figures above do not explain. Always 0; anything else is a bug in the broker, please report it.",
			read: func(s *broker.Stats, emit func(float64, string)) { emit(float64(s.Balance()), "") },
		},
	}
}

func connectionMetrics() []metric[broker.Stats] {
	return []metric[broker.Stats]{
		one("wirebird_connections", func(s *broker.Stats) int64 { return s.Connections },
			"Network connections, now, those without a CONNECT yet included. Alert near limits.max_connections."),
		one("wirebird_connections_opened_total", func(s *broker.Stats) uint64 { return s.ConnectionsOpened },
			"Network connections accepted. A rate above that of wirebird_connects_total is peers that never become clients."),
		one("wirebird_connections_over_limit_total", func(s *broker.Stats) uint64 { return s.ConnectionsRefused },
			"Network connections refused because of limits.max_connections. Raise the limit or the file descriptors, or add a broker."),
		one("wirebird_connections_lost_total", func(s *broker.Stats) uint64 { return s.LostConnections },
			"Clients that left without a DISCONNECT. A step is a network failure, a steady rate bad links."),
		one("wirebird_handshake_timeouts_total", func(s *broker.Stats) uint64 { return s.HandshakeTimeouts },
			"Connections closed because no complete CONNECT came within limits.handshake_timeout: port scans, or TLS clients at a plain port."),
		one("wirebird_packet_timeouts_total", func(s *broker.Stats) uint64 { return s.PacketTimeouts },
			"Connections ended because a packet did not arrive completely within limits.packet_timeout: very bad links, or somebody who holds connections."),
		one("wirebird_reader_stalls_total", func(s *broker.Stats) uint64 { return s.ReaderStalls },
			"Times that a client was not read until it had taken what waited for it, twice limits.outbound_buffer: clients that ask and do not read the answers."),
		one("wirebird_socket_reads_total", func(s *broker.Stats) uint64 { return s.Reads },
			"System calls that read from connections. Messages received for each tell how well they are batched."),
		one("wirebird_socket_writes_total", func(s *broker.Stats) uint64 { return s.Writes },
			"System calls that wrote to connections. Messages sent for each tell how well they are batched."),
		one("wirebird_connects_over_rate_total", func(s *broker.Stats) uint64 { return s.ConnectsOverRate },
			"CONNECT packets refused because of limits.max_connect_rate. After an outage it falls to 0 by itself; a steady rate is clients that reconnect without a pause."),
		one("wirebird_connects_total", func(s *broker.Stats) uint64 { return s.Connects },
			"CONNECT packets accepted. A high rate with few clients is clients that reconnect in a loop."),
		byCode("wirebird_connects_refused_total", func(s *broker.Stats) map[packet.ReasonCode]uint64 { return s.Refused },
			"CONNECT packets refused. bad user name or password at a high rate is a wrong configuration or somebody guessing."),
		one("wirebird_disconnects_total", func(s *broker.Stats) uint64 { return s.Disconnects },
			"DISCONNECT packets from clients: connections that ended as they should."),
		byCode("wirebird_connections_ended_total", func(s *broker.Stats) map[packet.ReasonCode]uint64 { return s.Disconnected },
			"Connections ended by the broker. protocol error and malformed packet are faulty clients, keep alive timeout is dead links."),
		one("wirebird_takeovers_total", func(s *broker.Stats) uint64 { return s.Takeovers },
			"Connections ended because the same client identifier connected again. A steady rate is two clients with one identifier."),
		one("wirebird_takeovers_refused_total", func(s *broker.Stats) uint64 { return s.TakeoversRefused },
			"CONNECT packets refused because of limits.max_takeover_rate: two clients with one identifier, which fight. The log names them at level debug."),
	}
}

func sessionMetrics() []metric[broker.Stats] {
	return []metric[broker.Stats]{
		one("wirebird_sessions", func(s *broker.Stats) int64 { return s.Sessions },
			"Sessions, now, with and without a connection. Growth without new clients is identifiers made up for each connection."),
		one("wirebird_sessions_online", func(s *broker.Stats) int64 { return s.SessionsOnline },
			"Sessions with a connection, now: the clients connected. Alert on a sudden fall."),
		one("wirebird_sessions_created_total", func(s *broker.Stats) uint64 { return s.SessionsCreated },
			"Sessions that began."),
		one("wirebird_sessions_expired_total", func(s *broker.Stats) uint64 { return s.SessionsExpired },
			"Sessions whose Session Expiry Interval passed while they had no connection. What waited in them is lost."),
		one("wirebird_subscriptions", func(s *broker.Stats) int64 { return s.Subscriptions },
			"Subscriptions of all sessions, now, shared ones included."),
		one("wirebird_shared_subscriptions", func(s *broker.Stats) int64 { return s.SharedSubscriptions },
			"Shared subscriptions of all sessions, now."),
		one("wirebird_subscription_levels", func(s *broker.Stats) int64 { return s.SubscriptionLevels },
			"Levels of all filters, now: the size of the subscription table. Alert near limits.max_subscription_levels_total."),
		one("wirebird_subscribes_refused_total", func(s *broker.Stats) uint64 { return s.SubscribesRefused },
			"Filters of SUBSCRIBE packets that were refused. Clients that ask for what they may not have, or are over limits.max_subscriptions, max_subscription_levels, max_subscription_ids, max_topic_levels or max_topic_length."),
		one("wirebird_retained_messages", func(s *broker.Stats) int64 { return s.Retained },
			"Retained messages, now. Alert near limits.max_retained_messages."),
		one("wirebird_retained_bytes", func(s *broker.Stats) int64 { return s.RetainedBytes },
			"Memory that the retained messages stand for, now. Alert near limits.max_retained_bytes."),
		one("wirebird_retained_sent_total", func(s *broker.Stats) uint64 { return s.RetainedSent },
			"Retained messages sent to new subscriptions. A high rate is clients that subscribe to wide filters again and again."),
		one("wirebird_retained_refused_total", func(s *broker.Stats) uint64 { return s.RetainRefused },
			"Messages that were delivered but not kept because of limits.max_retained_messages or max_retained_bytes. Raise the limit, or find who fills it."),
		one("wirebird_retained_expired_total", func(s *broker.Stats) uint64 { return s.RetainExpired },
			"Retained messages removed because their Message Expiry Interval passed."),
		one("wirebird_wills_total", func(s *broker.Stats) uint64 { return s.Wills },
			"Will Messages published: clients that were lost."),
	}
}

func protocolMetrics() []metric[broker.Stats] {
	return []metric[broker.Stats]{
		one("wirebird_no_local_total", func(s *broker.Stats) uint64 { return s.NoLocal },
			"Messages not given back to their publisher because its subscription says No Local."),
		one("wirebird_repeated_messages_total", func(s *broker.Stats) uint64 { return s.Repeats },
			"QoS 2 messages that clients sent again and that were not delivered again. A high rate is bad links or a slow broker."),
		one("wirebird_redistributed_messages_total", func(s *broker.Stats) uint64 { return s.Redistributed },
			"Copies of shared subscriptions given to another member because theirs left."),
		one("wirebird_unknown_acknowledgements_total", func(s *broker.Stats) uint64 { return s.UnknownAcks },
			"Acknowledgements of nothing that was sent. Some after reconnects are normal, a steady rate is a faulty client."),
		one("wirebird_oversized_packets_total", func(s *broker.Stats) uint64 { return s.Oversized },
			"Packets other than messages that were not sent because the client's Maximum Packet Size is smaller."),
		one("wirebird_publisher_stalls_total", func(s *broker.Stats) uint64 { return s.Stalls },
			"Times that a publisher was not read for a while because other shards could not keep up. A steady rate means the machine is full."),
		one("wirebird_decisions_parked_total", func(s *broker.Stats) uint64 { return s.DecisionsParked },
			"Connections parked while a slow decision, such as a password hash, was made. A high rate beside a busy CPU is a storm of logins."),
		one("wirebird_requests_not_stored_total", func(s *broker.Stats) uint64 { return s.NotStored },
			"Requests of clients refused because the journal has failed. Alert on any: nothing is acknowledged until the disk is mended and the broker started again."),
		one("wirebird_mail_bytes", func(s *broker.Stats) int64 { return s.MailBytes },
			"Bytes of messages under way from one shard to another, now. A value that stays high comes before stalls."),
	}
}

// dropHelp says what a reason of wirebird_messages_dropped_total means.
func dropHelp(d broker.Drop) string {
	switch d {
	case broker.DropNoSubscriber:
		return "messages that nobody subscribes to; usually harmless"
	case broker.DropRefused:
		return "messages that the publisher was not allowed to publish"
	case broker.DropOffline:
		return "QoS 0 copies for sessions without a connection"
	case broker.DropSlowConsumer:
		return "QoS 0 copies for connections with more than limits.outbound_buffer unsent"
	case broker.DropQueueFull:
		return "copies for sessions over limits.max_queued_messages or limits.max_queued_bytes"
	case broker.DropTooLarge:
		return "copies larger than the client's Maximum Packet Size"
	case broker.DropSessionEnded:
		return "copies whose session ended before they were delivered"
	case broker.DropRejected:
		return "copies that the client refused with a reason code"
	case broker.DropUnreadable:
		return "stored copies that could not be read back from the disk"
	}
	return ""
}
