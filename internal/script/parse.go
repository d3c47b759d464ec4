package script

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// ParsePacket reads what a line says of a packet, such as PUBACK id=1.
func ParsePacket(line string) (packet.Packet, error) {
	words, err := split(line)
	if err != nil {
		return nil, err
	}
	return parsePacket(words)
}

func parsePacket(words []word) (packet.Packet, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("no packet")
	}
	p := newPacket(words[0].key)
	if p == nil || !words[0].is(words[0].key) {
		return nil, fmt.Errorf("%q is no packet", words[0].key)
	}
	var err error
	words = words[1:]
	switch p := p.(type) {
	case *packet.Connect:
		err = parseConnect(p, words)
	case *packet.Publish:
		err = parsePublish(p, words)
	case *packet.Subscribe:
		err = parseSubscribe(p, words)
	case *packet.Unsubscribe:
		err = each(words, &p.Properties, func(w *word) (bool, error) {
			if w.key != "filter" {
				return id(w, &p.ID)
			}
			f, err := value(w)
			p.Filters = append(p.Filters, f)
			return true, err
		})
	default:
		err = parseReply(p, words)
	}
	if err != nil {
		return nil, fmt.Errorf("%v: %w", p.Type(), err)
	}
	return p, nil
}

func newPacket(name string) packet.Packet {
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		if t.String() == name {
			return packet.New(t)
		}
	}
	return nil
}

// each gives the words to fn, and those it does not know to the properties.
func each(words []word, props *packet.Properties, fn func(w *word) (bool, error)) error {
	return eachOf(words, props, false, fn)
}

func eachOf(words []word, props *packet.Properties, message bool, fn func(w *word) (bool, error)) error {
	for i := range words {
		w := &words[i]
		known, err := fn(w)
		if err == nil && !known && !w.absent && !w.opens && !w.closes {
			known, err = property(props, w, message)
		}
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("what is %q?", w.key)
		}
	}
	return nil
}

// value is that of a word which needs one.
func value(w *word) ([]byte, error) {
	if !w.hasValue || w.pair {
		return nil, fmt.Errorf("%s needs a value", w.key)
	}
	return text(w.key, w.value)
}

func id(w *word, to *uint16) (bool, error) {
	if w.key != "id" {
		return false, nil
	}
	return true, number(w, 16, to)
}

// qos reads q0, q1 and q2.
func qos(w *word, to *byte) bool {
	if len(w.key) == 2 && w.is(w.key) && w.key[0] == 'q' && w.key[1] >= '0' && w.key[1] <= '2' {
		*to = w.key[1] - '0'
		return true
	}
	return false
}

// set reads a word without a value.
func set(w *word, key string, to *bool) bool {
	if !w.is(key) {
		return false
	}
	*to = true
	return true
}

func versionOf(word string) packet.Version {
	switch word {
	case "v3.1":
		return packet.V31
	case "v3.1.1":
		return packet.V311
	case "v5":
		return packet.V5
	}
	return 0
}

func parseConnect(p *packet.Connect, words []word) error {
	words, err := takeWill(p, words)
	if err != nil {
		return err
	}
	err = each(words, &p.Properties, func(w *word) (known bool, err error) {
		switch {
		case versionOf(w.key) != 0 && w.is(w.key):
			p.Version = versionOf(w.key)
		case set(w, "clean", &p.CleanStart), set(w, "bridge", &p.Bridge):
		case w.key == "keepalive":
			err = number(w, 16, &p.KeepAlive)
		case w.key == "id":
			p.ClientID, err = value(w)
		case w.key == "username":
			p.HasUsername = true
			p.Username, err = value(w)
		case w.key == "password":
			p.HasPassword = true
			p.Password, err = value(w)
		default:
			return false, nil
		}
		return true, err
	})
	switch {
	case err != nil:
		return err
	case p.Version == 0:
		return fmt.Errorf("needs a version: v3.1, v3.1.1 or v5")
	case p.Version != packet.V5 && (!p.Properties.Empty() || p.Will != nil && !p.Will.Properties.Empty()):
		return fmt.Errorf("MQTT %v has no properties", p.Version)
	}
	return nil
}

// takeWill reads the group will{…} and returns the words around it.
func takeWill(p *packet.Connect, words []word) ([]word, error) {
	from, to := -1, -1
	for i := range words {
		switch w := &words[i]; {
		case w.opens && w.key == "will" && from < 0:
			from = i
		case w.closes && from >= 0 && to < 0:
			to = i
		case w.opens || w.closes:
			return nil, fmt.Errorf("unexpected brace")
		}
	}
	if from < 0 {
		return words, nil
	}
	if to < 0 {
		return nil, fmt.Errorf("will{ has no end")
	}
	will := &packet.Will{}
	p.Will = will
	err := eachOf(words[from+1:to], &will.Properties, true, func(w *word) (known bool, err error) {
		switch {
		case qos(w, &will.QoS), set(w, "retain", &will.Retain):
		case w.key == "topic":
			will.Topic, err = value(w)
		case w.key == "payload":
			will.Payload, err = value(w)
		default:
			return false, nil
		}
		return true, err
	})
	return append(append([]word(nil), words[:from]...), words[to+1:]...), err
}

func parsePublish(p *packet.Publish, words []word) error {
	return eachOf(words, &p.Properties, true, func(w *word) (known bool, err error) {
		switch {
		case qos(w, &p.QoS), set(w, "retain", &p.Retain), set(w, "dup", &p.Dup):
		case w.key == "topic":
			p.Topic, err = value(w)
		case w.key == "payload":
			if !w.hasValue || w.pair {
				return true, fmt.Errorf("payload needs a value")
			}
			p.Payload = []byte(w.value)
		default:
			return id(w, &p.ID)
		}
		return true, err
	})
}

// parseSubscribe reads filters; the options of one follow it.
func parseSubscribe(p *packet.Subscribe, words []word) error {
	return each(words, &p.Properties, func(w *word) (known bool, err error) {
		if w.key == "filter" {
			f, err := value(w)
			p.Filters = append(p.Filters, packet.Subscription{Filter: f})
			return true, err
		}
		if len(p.Filters) > 0 {
			f := &p.Filters[len(p.Filters)-1]
			if qos(w, &f.QoS) || set(w, "no-local", &f.NoLocal) || set(w, "retain-as-published", &f.RetainAsPublished) {
				return true, nil
			}
			if w.key == "retain-handling" {
				if err := number(w, 2, &f.RetainHandling); err != nil {
					return true, err
				}
				return true, nil
			}
		}
		return id(w, &p.ID)
	})
}

// parseReply reads the packets that carry reason codes, and those without contents.
func parseReply(p packet.Packet, words []word) error {
	id16, props, code, codes, present := parts(p)
	return each(words, props, func(w *word) (bool, error) {
		switch {
		case w.key == "id" && id16 != nil:
			return id(w, id16)
		case present != nil && set(w, "session-present", present):
			return true, nil
		case !w.is(w.key):
			return false, nil
		}
		c, ok := codeOf(w.key, p.Type())
		switch {
		case ok && code != nil:
			*code = c
		case ok && codes != nil:
			*codes = append(*codes, c)
		default:
			return false, nil
		}
		return true, nil
	})
}

// parts points to what a packet has of identifier, properties, reason code or codes, and
// Session Present.
func parts(p packet.Packet) (id *uint16, props *packet.Properties, code *packet.ReasonCode, codes *[]packet.ReasonCode, present *bool) {
	switch p := p.(type) {
	case *packet.Connack:
		return nil, &p.Properties, &p.Code, nil, &p.SessionPresent
	case *packet.Puback:
		return &p.ID, &p.Properties, &p.Code, nil, nil
	case *packet.Pubrec:
		return &p.ID, &p.Properties, &p.Code, nil, nil
	case *packet.Pubrel:
		return &p.ID, &p.Properties, &p.Code, nil, nil
	case *packet.Pubcomp:
		return &p.ID, &p.Properties, &p.Code, nil, nil
	case *packet.Suback:
		return &p.ID, &p.Properties, nil, &p.Codes, nil
	case *packet.Unsuback:
		return &p.ID, &p.Properties, nil, &p.Codes, nil
	case *packet.Disconnect:
		return nil, &p.Properties, &p.Code, nil, nil
	case *packet.Auth:
		return nil, &p.Properties, &p.Code, nil, nil
	}
	return nil, new(packet.Properties), nil, nil, nil
}

// codeOf reads a reason code: its name with dashes, q0 to q2 in SUBACK, or 0x87.
func codeOf(name string, t packet.Type) (packet.ReasonCode, bool) {
	if digits, ok := strings.CutPrefix(name, "0x"); ok {
		v, err := strconv.ParseUint(digits, 16, 8)
		return packet.ReasonCode(v), err == nil
	}
	const noneFrom, noneTo = packet.ReAuthenticate + 1, packet.UnspecifiedError - 1
	for c := packet.Success; c <= packet.WildcardSubscriptionsNotSupported; c++ {
		if c == noneFrom {
			c = noneTo + 1
		}
		if codeName(c, t) == name {
			return c, true
		}
	}
	return 0, false
}
