package mosquitto

import (
	"math"
	"time"

	"github.com/wirebird/wirebird/packet"
)

// messageMode is where the message to publish comes from.
type messageMode byte

const (
	modeNone  messageMode = iota
	modeText              // -m
	modeFile              // -f
	modeLines             // -l
	modeInput             // -s
	modeNull              // -n
)

// notGiven is a number that no option set.
const notGiven = -1

// config is what the options say.
type config struct {
	host, bind      string
	port            int // notGiven for the default
	unix, ws        bool
	wsPath          string
	srv, mptcp      bool
	proxy           *proxy
	id, idPrefix    *string
	username        *string
	password        *string
	version         packet.Version
	keepAlive       time.Duration
	keepSession     bool
	expiry          int64 // seconds, or notGiven
	maxInflight     int
	properties      properties
	topic           string
	mode            messageMode
	message, file   string
	qos             byte
	retain          bool
	repeat          int
	repeatDelay     time.Duration
	responseTopic   string
	topics          []string
	filterOut       []string
	unsubscribe     []string
	format          string
	hasFormat       bool
	verbose, pretty bool
	noNewline       bool
	count           int
	timeout         time.Duration
	exitAfterSub    bool
	noRetained      bool
	retainedOnly    bool
	removeRetained  bool

	retainAsPublished bool
	retainHandling    byte
	noLocal           bool
	randomFilter      float64 // percent
	messageRate       bool
	watch, latency    bool

	willTopic   string
	willPayload *string
	willQoS     byte
	willRetain  bool

	cafile, capath, cert, key         string
	osCerts, noTLS, insecure          bool
	tlsVersion, alpn, ciphers, keylog string
	keyform, engine, enginePass       string
	psk, pskIdentity                  string

	debug, quiet bool
}

// properties are those of -D, by packet.
type properties struct {
	connect, publish, will, subscribe, unsubscribe, disconnect packet.Properties
}

func (p *properties) all() []*packet.Properties {
	return []*packet.Properties{&p.connect, &p.publish, &p.will, &p.subscribe, &p.unsubscribe, &p.disconnect}
}

func (t Tool) defaults() *config {
	c := &config{
		port: notGiven, version: packet.V311, keepAlive: time.Minute, expiry: notGiven,
		maxInflight: 20, repeat: 1, wsPath: "/mqtt", randomFilter: 100,
	}
	if t == RR {
		c.version, c.count = packet.V5, 1
	}
	return c
}

// load reads the file of options, the saved connection and the arguments, and
// checks that they go together.
func (c *Call) load() (*config, error) {
	p := &parser{tool: c.Tool, ours: c.ours(), name: c.Name, config: c.Tool.defaults(), options: c.options()}
	if err := p.file(c.Args); err != nil {
		return nil, err
	}
	if c.Saved != nil {
		if err := p.saved(c.Args, c.Saved); err != nil {
			return nil, err
		}
	}
	if err := p.parse(c.Args); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.config.host == "" {
		p.config.host = "localhost"
	}
	return p.config, nil
}

// check finds options that do not go together, in the order in which
// Mosquitto's tools do.
func (p *parser) check() error {
	c, t := p.config, p.tool
	for _, e := range []struct {
		wrong     bool
		text, own string
	}{
		{c.willPayload != nil && c.willTopic == "", "Error: Will payload given, but no will topic given.", "--will-payload needs a will; add --will-topic."},
		{c.willRetain && c.willTopic == "", "Error: Will retain given, but no will topic given.", "--will-retain needs a will; add --will-topic."},
		{(c.cert == "") != (c.key == ""), "Error: Both certfile and keyfile must be provided if one of them is set.", "--cert and --key belong together; give both."},
		{c.keyform != "" && c.key == "", "Error: If keyform is set, keyfile must be also specified.", "--keyform needs a key; add --key."},
		{c.enginePass != "" && (c.keyform == "" || c.engine == ""), "Error: when using tls-engine-kpass-sha1, both tls-engine and keyform must also be provided.", "--tls-engine-kpass-sha1 needs --tls-engine and --keyform, and OpenSSL's engines are not possible here."},
		{c.psk != "" && (c.cafile != "" || c.capath != ""), "Error: Only one of --psk or --cafile/--capath may be used at once.", "--psk and --cafile or --capath exclude each other; leave one out."},
		{c.psk != "" && c.pskIdentity == "", "Error: --psk-identity required if --psk used.", "--psk needs --psk-identity, and pre-shared keys are not possible here; use --cafile."},
	} {
		if e.wrong {
			return usagef("%s\n", e.text).ours("%s", e.own)
		}
	}
	if err := c.checkLengths(); err != nil {
		return err
	}
	if err := c.checkOwn(); p.ours && err != nil {
		return err
	}
	if err := c.checkSession(); err != nil {
		return err
	}
	if t == Sub && len(c.topics) == 0 && len(c.unsubscribe) == 0 {
		return usagef("Error: You must specify a topic to subscribe to.\n").ours("there is no topic to subscribe to; add -t.")
	}
	if err := c.checkProperties(); err != nil {
		return err
	}
	return c.checkTool(t)
}

// checkLengths finds what no packet can hold. It would be cut off.
func (c *config) checkLengths() error {
	for _, e := range []struct {
		option string
		value  *string
		max    int
	}{
		{"--id", c.id, packet.MaxString}, {"--id-prefix", c.idPrefix, packet.MaxString - maxPID}, {"--username", c.username, packet.MaxString},
		{"--pw", c.password, packet.MaxString}, {"--will-payload", c.willPayload, packet.MaxString},
	} {
		if e.value != nil && len(*e.value) > e.max {
			return usagef("Error: %s is longer than %d bytes.\n", e.option, e.max).ours("%s is longer than the %d bytes that fit.", e.option, e.max)
		}
	}
	for _, props := range c.properties.all() {
		for _, u := range props.User {
			if len(u.Key) > packet.MaxString || len(u.Value) > packet.MaxString {
				return usagef("Error: Property value too long for property user-property.\n\n").ours("-D: a user-property is longer than the %d bytes that fit.", packet.MaxString)
			}
		}
	}
	return nil
}

// maxPID is room for a process id behind --id-prefix.
const maxPID = 20

// checkOwn finds what Mosquitto's tools let pass though it does nothing, or
// cannot work.
func (c *config) checkOwn() error {
	v5 := c.version == packet.V5
	switch {
	case c.willQoS > 0 && c.willTopic == "":
		return usagef("").ours("--will-qos needs a will; add --will-topic.")
	case c.password != nil && c.username == nil && !v5:
		return usagef("").ours("a password needs a user name in MQTT 3.x; add --username.")
	case c.retainAsPublished && !v5:
		return usagef("").ours("--retain-as-published needs MQTT 5.0; add -V 5.")
	case c.noLocal && !v5:
		return usagef("").ours("--no-local needs MQTT 5.0; add -V 5.")
	case c.retainHandling != 0 && !c.noRetained && !v5:
		return usagef("").ours("--retain-handling needs MQTT 5.0; add -V 5.")
	}
	return nil
}

func (c *config) checkSession() error {
	if c.version != packet.V5 {
		if c.keepSession && c.id == nil {
			return usagef("Error: You must provide a client id if you are using the -c option.\n").ours("a session that outlives the connection needs a client identifier; add --id.")
		}
		return nil
	}
	if c.keepSession && c.expiry == notGiven {
		c.expiry = math.MaxUint32
	}
	if c.expiry <= 0 {
		return nil
	}
	if c.expiry == math.MaxUint32 && c.id == nil {
		return usagef("Error: You must provide a client id if you are using an infinite session expiry interval.\n").ours("a session that never ends needs a client identifier; add --id.")
	}
	p := &c.properties.connect
	if p.Has(packet.PropSessionExpiry) {
		return usagef("Error in CONNECT properties: Duplicate property in property list\n").ours("-x and -D connect session-expiry-interval say the same; leave one out.")
	}
	p.SessionExpiry = uint32(c.expiry)
	p.Mark(packet.PropSessionExpiry)
	return nil
}

// checkTool makes the checks that one tool alone makes.
func (c *config) checkTool(t Tool) error {
	switch t {
	case Pub:
		if c.topic == "" || c.mode == modeNone {
			return &usageError{
				theirs: "Error: Both topic and message must be supplied.\n", bare: true, usage: true,
				own: "Error: both topic and message must be supplied; add -t and one of -m, -f, -l, -s and -n.",
			}
		}
	case Sub:
		if c.noRetained && c.retainedOnly {
			return &usageError{theirs: "\nError: Combining '-R' and '--retained-only' makes no sense.\n", bare: true, own: "Error: -R and --retained-only exclude each other; leave one out."}
		}
	case RR:
		if c.topic == "" || c.mode == modeNone || c.responseTopic == "" {
			return usagef("Error: All of topic, message, and response topic must be supplied.\n").ours("a request needs a topic (-t), a response topic (-e) and a message (-m, -f, -s or -n).")
		}
		p := &c.properties.publish
		if p.Has(packet.PropResponseTopic) {
			return &usageError{theirs: "Error in PUBLISH properties: Duplicate response topic.\n", bare: true}
		}
		p.ResponseTopic = []byte(c.responseTopic)
		p.Mark(packet.PropResponseTopic)
	}
	return nil
}
