package mosquitto

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

func (p *parser) host(v string) error {
	p.config.host, p.config.unix = v, false
	return nil
}

func (p *parser) unix(v string) error {
	p.config.host, p.config.unix = v, true
	return nil
}

func (p *parser) port(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 65535 {
		return usagef("Error: Invalid port given: %s\n", v).ours("--port must be from 1 to 65535, not %q.", v)
	}
	if p.config.port = n; n == 0 {
		p.config.unix = true // as -p 0 means to Mosquitto's tools
	}
	return nil
}

func (p *parser) id(v string) error {
	if p.config.idPrefix != nil {
		return usagef("Error: -i and -I argument cannot be used together.\n\n").ours("--id and --id-prefix exclude each other; leave one out.")
	}
	p.config.id = &v
	return nil
}

func (p *parser) idPrefix(v string) error {
	if p.config.id != nil {
		return usagef("Error: -i and -I argument cannot be used together.\n\n").ours("--id and --id-prefix exclude each other; leave one out.")
	}
	p.config.idPrefix = &v
	return nil
}

func (p *parser) username(v string) error { p.config.username = &v; return nil }
func (p *parser) password(v string) error { p.config.password = &v; return nil }

func (p *parser) version(v string) error {
	switch strings.TrimPrefix(v, "mqttv") {
	case "31", "3.1", "3":
		p.config.version = packet.V31
	case "311", "3.1.1", "4":
		p.config.version = packet.V311
	case "5", "5.0":
		p.config.version = packet.V5
	default:
		return usagef("Error: Invalid protocol version argument given.\n\n").ours("--protocol-version %q is none of 5, 311 and 31.", v)
	}
	return nil
}

func (p *parser) keepAlive(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 5 || n > math.MaxUint16 {
		return usagef("Error: Invalid keepalive given, it must be between 5 and 65535 inclusive.\n\n").ours("--keepalive must be from 5 to 65535 seconds, not %q.", v)
	}
	p.config.keepAlive = time.Duration(n) * time.Second
	return nil
}

func (p *parser) expiry(v string) error {
	if p.ours { // else it says nothing without -V 5
		p.config.version = packet.V5
	}
	if v == "∞" {
		p.config.expiry = math.MaxUint32
		return nil
	}
	n, err := strconv.ParseInt(v, 0, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return usagef("Error: session-expiry-interval not a number.\n\n").ours("-x must be a number of seconds, or -1 for ever, not %q.", v)
	case err != nil || n > math.MaxUint32 || n < -1:
		return usagef("Error: session-expiry-interval out of range.\n\n").ours("-x must be from 0 to 4294967295 seconds, or -1 for ever, not %q.", v)
	case n == -1:
		n = math.MaxUint32
	}
	p.config.expiry = n
	return nil
}

func (p *parser) maxInflight(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return usagef("Error: Maximum inflight messages must be greater than 0.\n\n").ours("-M must be at least 1, not %q.", v)
	}
	p.config.maxInflight = min(n, math.MaxUint16)
	return nil
}

func (p *parser) topic(v string) error { return p.addTopic(v, "-t") }

func (p *parser) addTopic(v, arg string) error {
	if !utf8.ValidString(v) {
		return usagef("Error: Malformed UTF-8 in %s argument.\n\n", arg)
	}
	if p.tool == Sub {
		if topic.CheckFilter(v) != nil {
			return usagef("Error: Invalid subscription topic '%s', are all '+' and '#' wildcards correct?\n", v).ours("%s %q is no filter: + stands for a whole level, # for all levels at the end.", arg, v)
		}
		p.config.topics = append(p.config.topics, v)
		return nil
	}
	if topic.CheckName(v) != nil {
		return usagef("Error: Invalid publish topic '%s', does it contain '+' or '#'?\n", v).ours("%s %q is no topic to publish to: it must not be empty nor have + or #.", arg, v)
	}
	p.config.topic = v
	return nil
}

func (p *parser) responseTopic(v string) error {
	if !utf8.ValidString(v) {
		return usagef("Error: Malformed UTF-8 in -e argument.\n\n")
	}
	if topic.CheckName(v) != nil {
		return usagef("Error: Invalid response topic '%s', does it contain '+' or '#'?\n", v).ours("-e %q is no topic to answer to: it must not be empty nor have + or #.", v)
	}
	p.config.responseTopic = v
	return nil
}

func (p *parser) filterOut(v string) error {
	if err := checkFilter(v, "-T", "filter"); err != nil {
		return err
	}
	p.config.filterOut = append(p.config.filterOut, v)
	return nil
}

func (p *parser) unsubscribe(v string) error {
	if err := checkFilter(v, "-U", "unsubscribe"); err != nil {
		return err
	}
	p.config.unsubscribe = append(p.config.unsubscribe, v)
	return nil
}

func checkFilter(v, arg, what string) error {
	if !utf8.ValidString(v) {
		return usagef("Error: Malformed UTF-8 in %s argument.\n\n", arg)
	}
	if topic.CheckFilter(v) != nil {
		return usagef("Error: Invalid %s topic '%s', are all '+' and '#' wildcards correct?\n", what, v).ours("%s %q is no filter: + stands for a whole level, # for all levels at the end.", arg, v)
	}
	return nil
}

func (p *parser) setMode(m messageMode) error {
	if p.config.mode != modeNone {
		return usagef("Error: Only one type of message can be sent at once.\n\n").ours("only one of -m, -f, -l, -s and -n can be there.")
	}
	p.config.mode = m
	return nil
}

func (p *parser) message(v string) error {
	p.config.message = v
	return p.setMode(modeText)
}

// inputFile is -f.
func (p *parser) inputFile(v string) error {
	p.config.file = v
	return p.setMode(modeFile)
}

func (p *parser) qos(v string) error {
	q, ok := parseQoS(v)
	if !ok {
		return usagef("Error: Invalid QoS given: %s\n", v).ours("--qos must be 0, 1 or 2, not %q.", v)
	}
	p.config.qos = q
	return nil
}

func parseQoS(v string) (byte, bool) {
	n, err := strconv.Atoi(v)
	return byte(n), err == nil && n >= 0 && n <= 2
}

func (p *parser) repeat(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return usagef("Error: --repeat argument must be >0.\n\n").ours("--repeat must be at least 1, not %q.", v)
	}
	p.config.repeat = n
	return nil
}

func (p *parser) repeatDelay(v string) error {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0) || f > math.MaxInt32 {
		return usagef("Error: --repeat-delay argument must be >=0.0.\n\n").ours("--repeat-delay must be a number of seconds, as 0.5, not %q.", v)
	}
	p.config.repeatDelay = time.Duration(f * float64(time.Second))
	return nil
}

func (p *parser) format(v string) error {
	p.config.format, p.config.hasFormat = v, true
	return checkFormat(v)
}

func (p *parser) count(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return usagef("Error: Invalid message count \"%s\".\n\n", v).ours("-C must be at least 1, not %q.", v)
	}
	p.config.count = n
	return nil
}

func (p *parser) timeout(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > math.MaxInt32 {
		return usagef("Error: Invalid timeout \"%s\".\n\n", v).ours("-W must be at least 1 second, not %q.", v)
	}
	p.config.timeout = time.Duration(n) * time.Second
	return nil
}

func (p *parser) noRetained(string) error {
	if p.config.noRetained = true; p.tool == Sub {
		p.config.retainHandling = 2
	}
	return nil
}

func (p *parser) retainHandling(v string) error {
	switch v {
	case "always", "0":
		p.config.retainHandling = 0
	case "new", "1":
		p.config.retainHandling = 1
	case "never", "2":
		p.config.retainHandling = 2
	default:
		return usagef("Error: Unknown value '%s' for --retain-handling.\n\n", v).ours("--retain-handling must be always, new or never, not %q.", v)
	}
	return nil
}

func (p *parser) randomFilter(v string) error {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0.1 && f <= 100) {
		return usagef("Error: --random-filter chance must be between 0.1-100.0\n\n").ours("--random-filter must be from 0.1 to 100 percent, not %q.", v)
	}
	p.config.randomFilter = f
	return nil
}

func (p *parser) willTopic(v string) error {
	if !utf8.ValidString(v) {
		return usagef("Error: Malformed UTF-8 in --will-topic argument.\n\n")
	}
	if topic.CheckName(v) != nil {
		return usagef("Error: Invalid will topic '%s', does it contain '+' or '#'?\n", v).ours("--will-topic %q is no topic to publish to: it must not be empty nor have + or #.", v)
	}
	p.config.willTopic = v
	return nil
}

func (p *parser) willPayload(v string) error { p.config.willPayload = &v; return nil }

func (p *parser) willQoS(v string) error {
	q, ok := parseQoS(v)
	if !ok {
		return usagef("Error: Invalid will QoS %s.\n\n", v).ours("--will-qos must be 0, 1 or 2, not %q.", v)
	}
	p.config.willQoS = q
	return nil
}
