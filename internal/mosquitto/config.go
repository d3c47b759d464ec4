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
	p := &parser{tool: c.Tool, ours: c.ours(), config: c.Tool.defaults(), options: c.options()}
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
	if err := p.config.check(c.Tool); err != nil {
		return nil, err
	}
	if p.config.host == "" {
		p.config.host = "localhost"
	}
	return p.config, nil
}

// check finds options that do not go together, in the order in which
// Mosquitto's tools do.
func (c *config) check(t Tool) error {
	for _, e := range []struct {
		wrong bool
		text  string
	}{
		{c.willPayload != nil && c.willTopic == "", "Error: Will payload given, but no will topic given."},
		{c.willRetain && c.willTopic == "", "Error: Will retain given, but no will topic given."},
		{(c.cert == "") != (c.key == ""), "Error: Both certfile and keyfile must be provided if one of them is set."},
		{c.keyform != "" && c.key == "", "Error: If keyform is set, keyfile must be also specified."},
		{c.enginePass != "" && (c.keyform == "" || c.engine == ""), "Error: when using tls-engine-kpass-sha1, both tls-engine and keyform must also be provided."},
		{c.psk != "" && (c.cafile != "" || c.capath != ""), "Error: Only one of --psk or --cafile/--capath may be used at once."},
		{c.psk != "" && c.pskIdentity == "", "Error: --psk-identity required if --psk used."},
	} {
		if e.wrong {
			return usagef("%s\n", e.text)
		}
	}
	if err := c.checkSession(); err != nil {
		return err
	}
	if t == Sub && len(c.topics) == 0 && len(c.unsubscribe) == 0 {
		return usagef("Error: You must specify a topic to subscribe to.\n")
	}
	if err := c.checkProperties(); err != nil {
		return err
	}
	return c.checkTool(t)
}

func (c *config) checkSession() error {
	if c.version != packet.V5 {
		if c.keepSession && c.id == nil {
			return usagef("Error: You must provide a client id if you are using the -c option.\n")
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
		return usagef("Error: You must provide a client id if you are using an infinite session expiry interval.\n")
	}
	p := &c.properties.connect
	if p.Has(packet.PropSessionExpiry) {
		return usagef("Error in CONNECT properties: Duplicate property in property list\n")
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
			return &bareError{"Error: Both topic and message must be supplied.\n", true}
		}
	case Sub:
		if c.noRetained && c.retainedOnly {
			return &bareError{"\nError: Combining '-R' and '--retained-only' makes no sense.\n", false}
		}
	case RR:
		if c.topic == "" || c.mode == modeNone || c.responseTopic == "" {
			return usagef("Error: All of topic, message, and response topic must be supplied.\n")
		}
		p := &c.properties.publish
		if p.Has(packet.PropResponseTopic) {
			return &bareError{"Error in PUBLISH properties: Duplicate response topic.\n", false}
		}
		p.ResponseTopic = []byte(c.responseTopic)
		p.Mark(packet.PropResponseTopic)
	}
	return nil
}
