package packet

import (
	"bytes"
	"slices"
)

// Clone returns a deep copy of p, which stays valid whatever happens to the
// bytes p was decoded from. p is a packet of this package, or nil.
func Clone(p Packet) Packet {
	switch p := p.(type) {
	case nil:
		return nil
	case *Connect:
		return p.clone()
	case *Connack:
		c := *p
		c.Properties = p.Properties.clone()
		return &c
	case *Publish:
		c := *p
		c.Topic, c.Payload, c.RawProperties = bytes.Clone(p.Topic), bytes.Clone(p.Payload), bytes.Clone(p.RawProperties)
		c.Properties = p.Properties.clone()
		return &c
	case *Puback:
		return &Puback{ID: p.ID, Code: p.Code, Properties: p.Properties.clone()}
	case *Pubrec:
		return &Pubrec{ID: p.ID, Code: p.Code, Properties: p.Properties.clone()}
	case *Pubrel:
		return &Pubrel{ID: p.ID, Code: p.Code, Properties: p.Properties.clone()}
	case *Pubcomp:
		return &Pubcomp{ID: p.ID, Code: p.Code, Properties: p.Properties.clone()}
	case *Subscribe:
		c := &Subscribe{ID: p.ID, Filters: slices.Clone(p.Filters), Properties: p.Properties.clone()}
		for i := range c.Filters {
			c.Filters[i].Filter = bytes.Clone(c.Filters[i].Filter)
		}
		return c
	case *Suback:
		return &Suback{ID: p.ID, Codes: slices.Clone(p.Codes), Properties: p.Properties.clone()}
	case *Unsubscribe:
		c := &Unsubscribe{ID: p.ID, Filters: slices.Clone(p.Filters), Properties: p.Properties.clone()}
		for i := range c.Filters {
			c.Filters[i] = bytes.Clone(c.Filters[i])
		}
		return c
	case *Unsuback:
		return &Unsuback{ID: p.ID, Codes: slices.Clone(p.Codes), Properties: p.Properties.clone()}
	case *Pingreq:
		return new(Pingreq)
	case *Pingresp:
		return new(Pingresp)
	case *Disconnect:
		return &Disconnect{Code: p.Code, Properties: p.Properties.clone()}
	case *Auth:
		return &Auth{Code: p.Code, Properties: p.Properties.clone()}
	}
	panic("packet: Clone of a packet from elsewhere")
}

func (c *Connect) clone() *Connect {
	d := *c
	d.ClientID, d.Username, d.Password = bytes.Clone(c.ClientID), bytes.Clone(c.Username), bytes.Clone(c.Password)
	d.Properties = c.Properties.clone()
	if w := c.Will; w != nil {
		d.Will = &Will{
			QoS: w.QoS, Retain: w.Retain,
			Topic: bytes.Clone(w.Topic), Payload: bytes.Clone(w.Payload), Properties: w.Properties.clone(),
		}
	}
	return &d
}
