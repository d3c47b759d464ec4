package mosquitto

import "slices"

// Option is one option of the tools.
type Option struct {
	Short, Long string // "-q", "--qos"; one may be empty
	Arg         string // name of its argument; empty for none
	Help        string
	Group       string // heading in the usage text

	tools   Tool   // with onlyOurs: not under Mosquitto's names
	missing string // what is said when the argument is not there
	set     func(p *parser, value string) error
}

// Options returns the options of the tool, in the order of the usage text.
func (t Tool) Options() []Option {
	if t == Passwd {
		return passwdOptions()
	}
	var out []Option
	for _, list := range [][]Option{connectOptions(), messageOptions(), subscribeOptions(), willOptions(), tlsOptions(), otherOptions()} {
		for _, o := range list {
			if o.tools&t != 0 {
				out = append(out, o)
			}
		}
	}
	return out
}

// options are those that the tool has under the name it was called by.
func (c *Call) options() []Option {
	all := c.Tool.Options()
	if c.ours() {
		return all
	}
	return slices.DeleteFunc(all, func(o Option) bool { return o.tools&onlyOurs != 0 })
}

// contextOption names a saved connection.
const contextOption = "--context"

// Headings of the usage text.
const (
	groupConnect = "Connection"
	groupMessage = "Message"
	groupReceive = "Subscription and output"
	groupWill    = "Will"
	groupTLS     = "TLS"
	groupOther   = "Other"
)

func connectOptions() []Option {
	return inGroup(groupConnect, []Option{
		{"", contextOption, "name", "use the connection saved under this name; see 'wirebird context'", "", anyClient | onlyOurs, "no name", set(func(*config) {})},
		{"-h", "--host", "host", "server to connect to (default localhost)", "", anyClient, "no host", (*parser).host},
		{"-p", "--port", "port", "port to connect to (default 1883, 8883 with TLS)", "", anyClient, "no port", (*parser).port},
		{"-L", "--url", "url", "all at once: mqtt(s)|ws(s)://[user[:password]@]host[:port]/topic", "", anyClient, "no URL", (*parser).url},
		{"", "--unix", "path", "connect to a Unix domain socket", "", anyClient, "no socket path", (*parser).unix},
		{"", "--ws", "", "speak MQTT over WebSocket", "", anyClient, "", set(func(c *config) { c.ws = true })},
		{"", "--ws-path", "path", "path of the WebSocket (default /mqtt)", "", anyClient, "no path", text(func(c *config) *string { return &c.wsPath })},
		{"-S", "", "", "find the server by the SRV records of the host", "", anyClient, "", set(func(c *config) { c.srv = true })},
		{"-A", "", "address", "connect from this local address", "", anyClient, "no address", text(func(c *config) *string { return &c.bind })},
		{"", "--proxy", "url", "go through a SOCKS5 proxy: socks5h://[user[:password]@]host[:port]", "", anyClient, "no proxy url", (*parser).proxy},
		{"", "--nodelay", "", "send small packets at once; it is always so", "", anyClient, "", set(func(*config) {})},
		{"", "--mptcp", "", "use Multipath TCP where the system has it", "", anyClient, "", set(func(c *config) { c.mptcp = true })},
		{"-i", "--id", "id", "client identifier (default: the server chooses)", "", anyClient, "no id", (*parser).id},
		{"-I", "--id-prefix", "prefix", "client identifier made of this prefix and the process id", "", anyClient, "no id prefix", (*parser).idPrefix},
		{"-u", "--username", "name", "user name", "", anyClient, "no username", (*parser).username},
		{"-P", "--pw", "password", "password", "", anyClient, "no password", (*parser).password},
		{"-V", "--protocol-version", "version", "mqttv5, mqttv311 or mqttv31, also 5, 311 or 31 (default 311; rr: 5)", "", anyClient, "no version", (*parser).version},
		{"-k", "--keepalive", "seconds", "silence before a ping, 5 to 65535 (default 60)", "", anyClient, "no keepalive", (*parser).keepAlive},
		{"-c", "--disable-clean-session", "", "keep the session on the server, and use the one it has", "", anyClient, "", set(func(c *config) { c.keepSession = true })},
		{"-x", "", "seconds", "how long the server keeps the session, -1 for ever; makes MQTT 5.0", "", anyClient, "no session expiry interval", (*parser).expiry},
		{"-M", "", "count", "QoS 1 and 2 messages under way at once (default 20)", "", anyClient, "max_inflight not", (*parser).maxInflight},
		{"-D", "--property", "packet name value", "MQTT 5.0 property, as: publish content-type text/plain; a user-property has a name and a value", "", anyClient, "not enough arguments", nil},
	})
}

func messageOptions() []Option {
	return inGroup(groupMessage, []Option{
		{"-t", "--topic", "topic", "topic to publish to; for sub a filter to subscribe to, which may be repeated", "", anyClient, "no topic", (*parser).topic},
		{"-m", "--message", "message", "the message", "", sending, "no message", (*parser).message},
		{"-f", "--file", "file", "send what is in the file", "", sending, "no file", (*parser).inputFile},
		{"-l", "--stdin-line", "", "send each line of standard input as a message", "", Pub, "", mode(modeLines)},
		{"-s", "--stdin-file", "", "send all of standard input as one message", "", sending, "", mode(modeInput)},
		{"-n", "--null-message", "", "send a message without content", "", sending, "", mode(modeNull)},
		{"-q", "--qos", "qos", "quality of service: 0, 1 or 2 (default 0)", "", anyClient, "no QoS", (*parser).qos},
		{"-r", "--retain", "", "let the server keep the message for later subscribers", "", Pub, "", set(func(c *config) { c.retain = true })},
		{"", "--repeat", "count", "send -m, -f, -s or -n this often", "", Pub, "no count", (*parser).repeat},
		{"", "--repeat-delay", "seconds", "time between repetitions, as 0.5 (default 0)", "", Pub, "no time", (*parser).repeatDelay},
	})
}

func subscribeOptions() []Option {
	return inGroup(groupReceive, []Option{
		{"-e", "", "topic", "response topic, to which the answer comes", "", RR, "no response topic", (*parser).responseTopic},
		{"-v", "--verbose", "", "print the topic before the payload", "", receiving, "", set(func(c *config) { c.verbose = true })},
		{"-F", "", "format", "how to print a message; see Formats", "", receiving, "no format", (*parser).format},
		{"", "--json", "", "print each message as a JSON object, as -F %j", "", receiving | onlyOurs, "", set(func(c *config) { c.format, c.hasFormat = "%j", true })},
		{"", "--pretty", "", "print JSON on several lines", "", receiving, "", set(func(c *config) { c.pretty = true })},
		{"-N", "", "", "do not end the line after a message", "", receiving, "", set(func(c *config) { c.noNewline = true })},
		{"-C", "", "count", "exit after this many messages", "", Sub, "no count", (*parser).count},
		{"-W", "", "seconds", "exit with status 27 after this time", "", receiving, "no timeout", (*parser).timeout},
		{"-E", "", "", "exit when the subscriptions are acknowledged", "", Sub, "", set(func(c *config) { c.exitAfterSub = true })},
		{"-R", "", "", "do not print retained messages", "", receiving, "", (*parser).noRetained},
		{"", "--retained-only", "", "print retained messages only, and exit at the first other", "", Sub, "", set(func(c *config) { c.retainedOnly = true })},
		{"", "--remove-retained", "", "remove the retained messages that come; -T spares some", "", Sub, "", set(func(c *config) { c.removeRetained = true })},
		{"", "--retain-as-published", "", "keep the retain flag as it was published; MQTT 5.0", "", receiving, "", set(func(c *config) { c.retainAsPublished = true })},
		{"", "--retain-handling", "when", "when the server sends retained messages: always, new or never; MQTT 5.0", "", receiving, "no option", (*parser).retainHandling},
		{"", "--no-local", "", "not the messages of this client; MQTT 5.0", "", Sub, "", set(func(c *config) { c.noLocal = true })},
		{"-T", "--filter-out", "filter", "ignore topics that match; may be repeated", "", Sub, "no topic filter", (*parser).filterOut},
		{"-U", "--unsubscribe", "filter", "unsubscribe; may be repeated", "", Sub, "no unsubscribe topic", (*parser).unsubscribe},
		{"", "--random-filter", "percent", "print only so many of a hundred messages, 0.1 to 100", "", Sub, "no chance", (*parser).randomFilter},
		{"", "--message-rate", "", "print the number of messages of each second instead of them", "", Sub, "", set(func(c *config) { c.messageRate = true })},
		{"-w", "--watch", "", "show the latest message of each topic on a screen that stays", "", Sub, "", set(func(c *config) { c.watch = true })},
		{"", "--latency", "", "print the time from request to response", "", RR, "", set(func(c *config) { c.latency = true })},
	})
}

func willOptions() []Option {
	return inGroup(groupWill, []Option{
		{"", "--will-topic", "topic", "topic of the will, which the server publishes if this client dies", "", anyClient, "no will topic", (*parser).willTopic},
		{"", "--will-payload", "payload", "payload of the will (default: empty)", "", anyClient, "no will payload", (*parser).willPayload},
		{"", "--will-qos", "qos", "QoS of the will", "", anyClient, "no will QoS", (*parser).willQoS},
		{"", "--will-retain", "", "make the will retained", "", anyClient, "", set(func(c *config) { c.willRetain = true })},
	})
}

func tlsOptions() []Option {
	return inGroup(groupTLS, []Option{
		{"", "--cafile", "file", "trusted certificates (PEM); makes TLS", "", anyClient, "no file", text(func(c *config) *string { return &c.cafile })},
		{"", "--capath", "dir", "directory of trusted certificates (PEM); makes TLS", "", anyClient, "no directory", text(func(c *config) *string { return &c.capath })},
		{"", "--cert", "file", "certificate of this client (PEM)", "", anyClient, "no file", text(func(c *config) *string { return &c.cert })},
		{"", "--key", "file", "private key of this client (PEM)", "", anyClient, "no file", text(func(c *config) *string { return &c.key })},
		{"", "--tls-use-os-certs", "", "trust the system's certificates; makes TLS", "", anyClient, "", set(func(c *config) { c.osCerts = true })},
		{"", "--no-tls", "", "no TLS, whatever else is said", "", anyClient, "", set(func(c *config) { c.noTLS = true })},
		{"", "--tls-version", "version", "lowest version accepted: tlsv1.3, tlsv1.2 or tlsv1.1 (default tlsv1.2)", "", anyClient, "no version", text(func(c *config) *string { return &c.tlsVersion })},
		{"", "--tls-alpn", "protocol", "application protocol to ask for", "", anyClient, "no protocol", text(func(c *config) *string { return &c.alpn })},
		{"", "--ciphers", "list", "cipher suites of TLS 1.2, by OpenSSL's names, with : between", "", anyClient, "no ciphers", text(func(c *config) *string { return &c.ciphers })},
		{"", "--insecure", "", "do not check that the certificate is for the host", "", anyClient, "", set(func(c *config) { c.insecure = true })},
		{"", "--tls-keylog", "file", "append the secrets of the connection, for Wireshark", "", anyClient, "no file", text(func(c *config) *string { return &c.keylog })},
		{"", "--keyform", "form", "form of the private key: pem", "", anyClient, "no keyform", text(func(c *config) *string { return &c.keyform })},
		{"", "--tls-engine", "engine", "OpenSSL engine; there is none here", "", anyClient, "no engine_id", text(func(c *config) *string { return &c.engine })},
		{"", "--tls-engine-kpass-sha1", "sum", "password of an OpenSSL engine; there is none here", "", anyClient, "no kpass sha1", text(func(c *config) *string { return &c.enginePass })},
		{"", "--psk", "key", "pre-shared key; not possible here, use certificates", "", anyClient, "no key", text(func(c *config) *string { return &c.psk })},
		{"", "--psk-identity", "identity", "identity of a pre-shared key", "", anyClient, "no identity", text(func(c *config) *string { return &c.pskIdentity })},
	})
}

func otherOptions() []Option {
	return inGroup(groupOther, []Option{
		{"-o", "", "file", "read options from the file first, instead of the one in ~/.config", "", anyClient, "no options file", set(func(*config) {})},
		{"-d", "--debug", "", "print each packet", "", anyClient, "", set(func(c *config) { c.debug = true })},
		{"", "--quiet", "", "print no errors of the connection", "", anyClient, "", set(func(c *config) { c.quiet = true })},
		{"", "--help", "", "print this text", "", anyClient, "", func(*parser, string) error { return errHelp }},
		{"", "--version", "", "print the version", "", anyClient, "", func(*parser, string) error { return errVersion }},
	})
}

func inGroup(name string, list []Option) []Option {
	for i := range list {
		list[i].Group = name
	}
	return list
}

func set(f func(*config)) func(*parser, string) error {
	return func(p *parser, _ string) error {
		f(p.config)
		return nil
	}
}

func text(field func(*config) *string) func(*parser, string) error {
	return func(p *parser, value string) error {
		*field(p.config) = value
		return nil
	}
}

func mode(m messageMode) func(*parser, string) error {
	return func(p *parser, _ string) error { return p.setMode(m) }
}
