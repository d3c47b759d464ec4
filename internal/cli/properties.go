package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wirebird/wirebird/client"
)

// propertySeparator joins the words of -D: no argument can contain it.
const propertySeparator = "\x00"

// joinProperties rewrites "-D packet name value", and "-D packet user-property
// name value", to one argument: the flag library takes one value a flag.
func joinProperties(root *cobra.Command, args []string) ([]string, error) {
	if len(args) == 0 {
		return args, nil
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() == args[0] && cmd.Flags().Lookup("property") != nil {
			return joinFlags(cmd, args)
		}
	}
	return args, nil
}

func joinFlags(cmd *cobra.Command, args []string) ([]string, error) {
	out := args[:1:1]
	for rest := args[1:]; len(rest) > 0; {
		arg := rest[0]
		if arg == "--" {
			return append(out, rest...), nil
		}
		if arg != "-D" && arg != "--property" {
			n := 1
			if takesNext(cmd.Flags(), arg) {
				n = min(2, len(rest))
			}
			out, rest = append(out, rest[:n]...), rest[n:]
			continue
		}
		n := 4
		if len(rest) > 2 && rest[2] == "user-property" {
			n = 5
		}
		if len(rest) < n {
			return nil, misused("%s needs a packet, the name of a property and its value, as in '-D publish content-type text/plain'.", arg)
		}
		out = append(out, "--property="+strings.Join(rest[1:n], propertySeparator))
		rest = rest[n:]
	}
	return out, nil
}

// takesNext reports whether the argument after arg is the value of a flag in
// arg, by the rules of the flag library.
func takesNext(flags *pflag.FlagSet, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		f := flags.Lookup(name)
		return f != nil && f.NoOptDefVal == ""
	}
	short, ok := strings.CutPrefix(arg, "-")
	if !ok {
		return false
	}
	for i := range len(short) {
		f := flags.ShorthandLookup(short[i : i+1])
		if f == nil {
			return false
		}
		if f.NoOptDefVal == "" {
			return i == len(short)-1 // else the rest of arg is the value
		}
	}
	return false
}

// properties are those given with -D, by packet.
type properties struct {
	connect     func(*client.Options) // nil: none
	publish     client.Properties
	will        client.Properties
	subscribeID uint32
	subscribe   []client.User
	unsubscribe []client.User
	disconnect  disconnectProperties
}

type disconnectProperties struct {
	sessionExpiry *uint32
	reason        string
	user          []client.User
}

// parseProperties reads what joinProperties made.
func parseProperties(joined []string) (*properties, error) {
	p := &properties{}
	for _, s := range joined {
		words := strings.Split(s, propertySeparator)
		if len(words) < 3 {
			return nil, misused("--property needs a packet, the name of a property and its value.")
		}
		q := property{packet: strings.ToLower(words[0]), name: words[1], value: words[len(words)-1]}
		if len(words) == 4 {
			q.user = []client.User{{Key: words[2], Value: words[3]}}
		}
		if err := q.apply(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// property is one -D.
type property struct {
	packet, name, value string
	user                []client.User // of a user-property
}

func (q *property) apply(p *properties) error {
	var known, fits bool
	var err error
	switch q.packet {
	case "connect":
		fits, err = q.applyConnect(p)
	case "publish":
		fits, err = q.applyMessage(&p.publish, false)
	case "will":
		fits, err = q.applyMessage(&p.will, true)
	case "subscribe":
		switch q.name {
		case "subscription-identifier":
			var n uint64
			n, err = q.number(268435455)
			p.subscribeID, fits = uint32(n), true
		case "user-property":
			p.subscribe, fits = append(p.subscribe, q.user...), true
		}
	case "unsubscribe":
		if fits = q.name == "user-property"; fits {
			p.unsubscribe = append(p.unsubscribe, q.user...)
		}
	case "disconnect":
		fits, err = q.applyDisconnect(p)
	default:
		return misused("-D: %q is no packet that takes properties; use connect, publish, subscribe, unsubscribe, disconnect or will.", q.packet)
	}
	if err != nil || fits {
		return err
	}
	for _, name := range propertyNames() {
		known = known || name == q.name
	}
	if !known {
		return misused("-D: there is no property %q; the names are those of the standard, as content-type.", q.name)
	}
	return misused("-D: the property %s is not allowed for %s.", q.name, q.packet)
}

func propertyNames() []string {
	return strings.Fields(`assigned-client-identifier authentication-data authentication-method content-type
		correlation-data maximum-packet-size maximum-qos message-expiry-interval payload-format-indicator
		reason-string receive-maximum request-problem-information request-response-information
		response-information response-topic retain-available server-keep-alive server-reference
		session-expiry-interval shared-subscription-available subscription-identifier
		subscription-identifier-available topic-alias topic-alias-maximum user-property
		wildcard-subscription-available will-delay-interval`)
}

func (q *property) number(limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(q.value, 10, 64)
	if err != nil || n > limit {
		return 0, misused("-D: %s must be a number from 0 to %d, not %q.", q.name, limit, q.value)
	}
	return n, nil
}

func (q *property) applyConnect(p *properties) (bool, error) {
	var set func(*client.Options)
	var n uint64
	var err error
	switch q.name {
	case "receive-maximum":
		n, err = q.number(math.MaxUint16)
		set = func(o *client.Options) { o.ReceiveMax = uint16(n) }
	case "maximum-packet-size":
		n, err = q.number(math.MaxUint32)
		set = func(o *client.Options) { o.MaxPacketSize = uint32(n) }
	case "topic-alias-maximum":
		n, err = q.number(math.MaxUint16)
		set = func(o *client.Options) { o.TopicAliasMax = uint16(n) }
	case "session-expiry-interval":
		n, err = q.number(math.MaxUint32)
		set = func(o *client.Options) { o.SessionExpiry = expiry(n) }
	case "request-problem-information":
		n, err = q.number(1)
		set = func(o *client.Options) { o.NoProblemInfo = n == 0 }
	case "request-response-information":
		n, err = q.number(1)
		set = func(o *client.Options) { o.RequestResponse = n == 1 }
	case "authentication-method":
		method := q.value
		set = func(o *client.Options) { o.Auth = fixedAuth{method: method, data: authData(o.Auth)} }
	case "authentication-data":
		data := []byte(q.value)
		set = func(o *client.Options) { o.Auth = fixedAuth{method: authMethod(o.Auth), data: data} }
	case "user-property":
		user := q.user
		set = func(o *client.Options) { o.UserProperties = append(o.UserProperties, user...) }
	default:
		return false, nil
	}
	before := p.connect
	p.connect = func(o *client.Options) {
		if before != nil {
			before(o)
		}
		set(o)
	}
	return true, err
}

// expiry is a number of seconds of which the largest means forever.
func expiry(n uint64) time.Duration {
	if n == math.MaxUint32 {
		return -1
	}
	return time.Duration(n) * time.Second
}

// fixedAuth has one thing to say, as -D gives it.
type fixedAuth struct {
	method string
	data   []byte
}

func (a fixedAuth) Method() string { return a.method }
func (a fixedAuth) Start() []byte  { return a.data }
func (a fixedAuth) Step([]byte) ([]byte, error) {
	return nil, fmt.Errorf("the server wants more than the authentication-data given")
}

func authData(a client.Authenticator) []byte {
	if a == nil {
		return nil
	}
	return a.Start()
}

func authMethod(a client.Authenticator) string {
	if a == nil {
		return ""
	}
	return a.Method()
}

func (q *property) applyMessage(p *client.Properties, will bool) (bool, error) {
	var n uint64
	var err error
	switch q.name {
	case "payload-format-indicator":
		n, err = q.number(1)
		p.PayloadFormat = byte(n)
	case "message-expiry-interval":
		n, err = q.number(math.MaxUint32)
		p.MessageExpiry = time.Duration(n) * time.Second
	case "content-type":
		p.ContentType = q.value
	case "response-topic":
		p.ResponseTopic = q.value
	case "correlation-data":
		p.CorrelationData = []byte(q.value)
	case "user-property":
		p.User = append(p.User, q.user...)
	case "topic-alias":
		if will {
			return false, nil
		}
		n, err = q.number(math.MaxUint16)
		p.TopicAlias = uint16(n)
	case "will-delay-interval":
		if !will {
			return false, nil
		}
		n, err = q.number(math.MaxUint32)
		p.WillDelay = time.Duration(n) * time.Second
	default:
		return false, nil
	}
	return true, err
}

func (q *property) applyDisconnect(p *properties) (bool, error) {
	switch q.name {
	case "session-expiry-interval":
		n, err := q.number(math.MaxUint32)
		seconds := uint32(n)
		p.disconnect.sessionExpiry = &seconds
		return true, err
	case "reason-string":
		p.disconnect.reason = q.value
		return true, nil
	case "user-property":
		p.disconnect.user = append(p.disconnect.user, q.user...)
		return true, nil
	}
	return false, nil
}
