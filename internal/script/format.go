package script

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wirebird/wirebird/packet"
)

// Format writes p as ParsePacket reads it.
func Format(p packet.Packet) string {
	fields, props := formatPacket(p)
	return strings.Join(append(fields, props...), " ")
}

// formatPacket gives the words of p: those of its own, then its properties.
func formatPacket(p packet.Packet) (fields, props []string) {
	fields = []string{p.Type().String()}
	switch p := p.(type) {
	case *packet.Connect:
		return formatConnect(fields, p), formatProperties(&p.Properties)
	case *packet.Publish:
		return formatPublish(fields, p), formatProperties(&p.Properties)
	case *packet.Subscribe:
		return formatSubscribe(append(fields, formatID(p.ID)), p), formatProperties(&p.Properties)
	case *packet.Unsubscribe:
		fields = append(fields, formatID(p.ID))
		for _, f := range p.Filters {
			fields = append(fields, "filter="+quote(f))
		}
		return fields, formatProperties(&p.Properties)
	}
	id, properties, code, codes, present := parts(p)
	if id != nil {
		fields = append(fields, formatID(*id))
	}
	// Success goes without saying but in the answer to CONNECT and in AUTH.
	if code != nil && (*code != packet.Success || id == nil && p.Type() != packet.DISCONNECT) {
		fields = append(fields, codeName(*code, p.Type()))
	}
	if codes != nil {
		for _, c := range *codes {
			fields = append(fields, codeName(c, p.Type()))
		}
	}
	if present != nil && *present {
		fields = append(fields, "session-present")
	}
	return fields, formatProperties(properties)
}

func formatID(id uint16) string { return "id=" + strconv.Itoa(int(id)) }

// codeName is a reason code in the language.
func codeName(c packet.ReasonCode, t packet.Type) string {
	if t == packet.SUBACK && c <= packet.GrantedQoS2 {
		return formatQoS(byte(c))
	}
	name := c.String()
	if strings.Contains(name, "0x") {
		return fmt.Sprintf("0x%02X", byte(c))
	}
	return strings.ToLower(strings.ReplaceAll(name, " ", "-"))
}

func formatQoS(qos byte) string { return "q" + strconv.Itoa(int(qos)) }

func formatConnect(fields []string, p *packet.Connect) []string {
	switch p.Version {
	case packet.V31:
		fields = append(fields, "v3.1")
	case packet.V311:
		fields = append(fields, "v3.1.1")
	case packet.V5:
		fields = append(fields, "v5")
	}
	fields = append(fields, "id="+quote(p.ClientID))
	if p.CleanStart {
		fields = append(fields, "clean")
	}
	if p.Bridge {
		fields = append(fields, "bridge")
	}
	if p.KeepAlive != 0 {
		fields = append(fields, "keepalive="+strconv.Itoa(int(p.KeepAlive)))
	}
	if p.HasUsername {
		fields = append(fields, "username="+quote(p.Username))
	}
	if p.HasPassword {
		fields = append(fields, "password="+quote(p.Password))
	}
	if w := p.Will; w != nil {
		group := []string{"topic=" + quote(w.Topic), "payload=" + quote(w.Payload), formatQoS(w.QoS)}
		if w.Retain {
			group = append(group, "retain")
		}
		group = append(group, formatProperties(&w.Properties)...)
		fields = append(fields, "will{"+strings.Join(group, " ")+"}")
	}
	return fields
}

func formatPublish(fields []string, p *packet.Publish) []string {
	fields = append(fields, formatQoS(p.QoS))
	if p.ID != 0 {
		fields = append(fields, formatID(p.ID))
	}
	fields = append(fields, "topic="+quote(p.Topic), "payload="+quote(p.Payload))
	if p.Retain {
		fields = append(fields, "retain")
	}
	if p.Dup {
		fields = append(fields, "dup")
	}
	return fields
}

func formatSubscribe(fields []string, p *packet.Subscribe) []string {
	for _, f := range p.Filters {
		fields = append(fields, "filter="+quote(f.Filter), formatQoS(f.QoS))
		if f.NoLocal {
			fields = append(fields, "no-local")
		}
		if f.RetainAsPublished {
			fields = append(fields, "retain-as-published")
		}
		if f.RetainHandling != 0 {
			fields = append(fields, "retain-handling="+strconv.Itoa(int(f.RetainHandling)))
		}
	}
	return fields
}
