package packet

import (
	"bytes"
	"encoding/binary"
)

// Connect is the first packet of a client. §3.1
type Connect struct {
	Version     Version
	Bridge      bool   // the level byte has 0x80 set, as bridges of Mosquitto do; Version is without it
	CleanStart  bool   // Clean Session in 3.x
	KeepAlive   uint16 // seconds; 0 is off
	ClientID    []byte
	Will        *Will // nil is none
	HasUsername bool
	HasPassword bool
	Username    []byte
	Password    []byte
	Properties  Properties
}

// Will is the message a server publishes when a client is lost.
type Will struct {
	QoS        byte
	Retain     bool
	Topic      []byte
	Payload    []byte
	Properties Properties
}

const (
	nameV31  = "MQIsdp"
	nameV311 = "MQTT" // and 5.0
	bridge   = 0x80   // in the level byte
)

// Connect flags, §3.1.2.3.
const (
	connectReserved   = 1 << 0
	connectCleanStart = 1 << 1
	connectWill       = 1 << 2
	connectWillRetain = 1 << 5
	connectPassword   = 1 << 6
	connectUsername   = 1 << 7
	connectWillQoS    = 3 // position of the two bits
)

func (*Connect) Type() Type { return CONNECT }

// Decode ignores v and finds the version in the packet. As soon as that has
// been read, c.Version holds it even if Decode fails, so that a CONNACK can be
// written; with the reason UnsupportedProtocolVersion it is the level the client
// asked for, whatever that means.
func (c *Connect) Decode(_ Version, flags byte, body []byte) error {
	*c = Connect{Properties: c.Properties}
	c.Properties.Reset()
	in := cursor{b: body}
	name := in.binary()
	level := in.byte()
	if in.err != nil {
		return in.err
	}
	c.Bridge, c.Version = level&bridge != 0, Version(level&^bridge)
	if err := c.checkVersion(name); err != nil {
		return err
	}
	if err := checkFlags(CONNECT, c.Version, flags); err != nil {
		return err
	}
	set := in.byte()
	c.KeepAlive = in.uint16()
	if in.err != nil {
		return in.err
	}
	if err := checkConnectFlags(c.Version, set); err != nil {
		return err
	}
	c.CleanStart = set&connectCleanStart != 0
	if c.Version == V5 {
		in.properties(CONNECT, false, &c.Properties)
	}
	c.ClientID = in.text()
	if set&connectWill != 0 {
		if err := c.decodeWill(&in, set); err != nil {
			return err
		}
	}
	c.decodeCredentials(&in, set)
	return in.end()
}

func (c *Connect) checkVersion(name []byte) error {
	rule := "MQTT-3.1.2-1"
	switch string(name) {
	case nameV31:
		if c.Version == V31 {
			return nil
		}
		rule = "MQTT-3.1.2-2"
	case nameV311:
		if c.Version == V311 || c.Version == V5 {
			return nil
		}
		rule = "MQTT-3.1.2-2"
	}
	return &Error{Code: UnsupportedProtocolVersion, Rule: rule}
}

func checkConnectFlags(v Version, set byte) error {
	qos := set >> connectWillQoS & 3
	switch {
	case set&connectReserved != 0:
		return malformed("MQTT-3.1.2-3", "reserved connect flag")
	case qos == 3:
		return malformed("MQTT-3.1.2-12", "will QoS 3")
	case set&connectWill == 0 && qos != 0:
		return malformed("MQTT-3.1.2-11", "will QoS without a will")
	case set&connectWill == 0 && set&connectWillRetain != 0:
		return malformed("MQTT-3.1.2-13", "will retain without a will")
	case v != V5 && set&connectPassword != 0 && set&connectUsername == 0:
		return malformed("MQTT-3.1.2-22 of 3.1.1", "password without a user name")
	}
	return nil
}

func (c *Connect) decodeWill(in *cursor, set byte) error {
	w := &Will{QoS: set >> connectWillQoS & 3, Retain: set&connectWillRetain != 0}
	if c.Version == V5 {
		w.Properties.MaxUser = c.Properties.MaxUser
		in.properties(CONNECT, true, &w.Properties)
	}
	w.Topic = in.text()
	w.Payload = in.binary()
	if in.err != nil {
		return in.err
	}
	if len(w.Topic) == 0 {
		return &Error{Code: TopicNameInvalid, Rule: "MQTT-4.7.3-1"}
	}
	if bytes.ContainsAny(w.Topic, "+#") {
		return &Error{Code: TopicNameInvalid, Rule: "MQTT-4.7.1-1"}
	}
	c.Will = w
	return nil
}

// decodeCredentials reads user name and password. In 3.1 the length of the
// packet outranks the flags: a string whose flag is set may still be missing.
func (c *Connect) decodeCredentials(in *cursor, set byte) {
	mayEnd := c.Version == V31
	if set&connectUsername != 0 && !(mayEnd && len(in.b) == 0) {
		c.HasUsername = true
		c.Username = in.text()
	}
	if set&connectPassword != 0 && !(mayEnd && len(in.b) == 0) {
		c.HasPassword = true
		c.Password = in.binary()
	}
}

// Append writes the version c.Version, or v if that is 0.
func (c *Connect) Append(dst []byte, v Version) []byte {
	if c.Version != 0 {
		v = c.Version
	}
	dst, start := begin(dst)
	name := nameV311
	if v == V31 {
		name = nameV31
	}
	dst = appendBinary(dst, name)
	dst = append(dst, byte(v)|bit(c.Bridge, 7), c.flags())
	dst = binary.BigEndian.AppendUint16(dst, c.KeepAlive)
	if v == V5 {
		dst = appendProperties(dst, &c.Properties)
	}
	dst = appendBinary(dst, c.ClientID)
	if c.Will != nil {
		if v == V5 {
			dst = appendProperties(dst, &c.Will.Properties)
		}
		dst = appendBinary(dst, c.Will.Topic)
		dst = appendBinary(dst, c.Will.Payload)
	}
	if c.HasUsername {
		dst = appendBinary(dst, c.Username)
	}
	if c.HasPassword {
		dst = appendBinary(dst, c.Password)
	}
	return finish(dst, start, CONNECT)
}

func (c *Connect) flags() byte {
	set := bit(c.CleanStart, 1) | bit(c.HasPassword, 6) | bit(c.HasUsername, 7)
	if c.Will != nil {
		set |= connectWill | c.Will.QoS&3<<connectWillQoS | bit(c.Will.Retain, 5)
	}
	return set
}

func (c *Connect) String() string {
	b := append([]byte("CONNECT version="), c.Version.String()...)
	if c.Bridge {
		b = append(b, " bridge"...)
	}
	if c.CleanStart {
		b = append(b, " clean-start"...)
	}
	b = describeInt(b, "keep-alive", uint64(c.KeepAlive))
	b = describeText(b, "client-id", c.ClientID)
	if c.HasUsername {
		b = describeText(b, "username", c.Username)
	}
	if c.HasPassword {
		b = append(b, " password=hidden"...)
	}
	if w := c.Will; w != nil {
		b = append(b, " will("...)
		b = append(b, 'q', '0'+w.QoS, ' ', 'r', '0'+bit(w.Retain, 0))
		b = describeText(b, "topic", w.Topic)
		b = describeSize(b, "payload", w.Payload)
		b = append(w.Properties.describe(b), ')')
	}
	return string(c.Properties.describe(b))
}
