package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/packet"
	"github.com/wirebird/wirebird/topic"
)

// connection is the flags that pub and sub share. Their letters are those of
// Mosquitto's clients, which is why -h is the host and help is --help only.
type connection struct {
	host, url, unix, wsPath    string
	port                       int
	ws                         bool
	id, idPrefix               string
	username, password         string
	version                    string
	keepAlive                  int
	keepSession                bool
	sessionExpiry              string
	willTopic, willPayload     string
	willQoS                    int
	willRetain                 bool
	cafile, cert, key, alpn    string
	osCerts, insecure, noDelay bool
	maxInflight                int
	propertyFlags              []string
	debug, quiet               bool

	context string // --context
	saved   bool   // saved connections count; not for programs by Mosquitto's names

	urlTopic string // of --url
	tls      bool
	props    *properties
}

func (c *connection) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	if c.saved = !mosquittoName(os.Args[0]); c.saved {
		f.StringVar(&c.context, "context", "", "use the connection saved under this `name`; see 'wirebird context'")
	}
	f.StringVarP(&c.host, "host", "h", "localhost", "server to connect to")
	f.IntVarP(&c.port, "port", "p", 0, "port to connect to (default 1883, 8883 with TLS)")
	f.StringVarP(&c.url, "url", "L", "", "all at once: mqtt(s)|ws(s)://[user[:password]@]host[:port]/topic")
	f.StringVar(&c.unix, "unix", "", "connect to a Unix domain socket at this `path`")
	f.BoolVar(&c.ws, "ws", false, "speak MQTT over WebSocket")
	f.StringVar(&c.wsPath, "ws-path", "/mqtt", "path of the WebSocket")
	f.StringVarP(&c.id, "id", "i", "", "client identifier (default: the server chooses)")
	f.StringVarP(&c.idPrefix, "id-prefix", "I", "", "client identifier made of this prefix and the process id")
	f.StringVarP(&c.username, "username", "u", "", "user name")
	f.StringVarP(&c.password, "pw", "P", "", "password")
	f.StringVarP(&c.version, "protocol-version", "V", "311", "protocol `version`: 5, 311 or 31; also mqttv5, 5.0, ...")
	f.IntVarP(&c.keepAlive, "keepalive", "k", 60, "seconds of silence before a ping")
	f.BoolVarP(&c.keepSession, "disable-clean-session", "c", false, "keep the session on the server, and use the one it has")
	f.StringVarP(&c.sessionExpiry, "session-expiry-interval", "x", "", "`seconds` the server keeps the session, -1 for ever; MQTT 5.0 (default -1 with -c, else 0)")
	f.StringVar(&c.willTopic, "will-topic", "", "topic of the will, which the server publishes if this client dies")
	f.StringVar(&c.willPayload, "will-payload", "", "payload of the will")
	f.IntVar(&c.willQoS, "will-qos", 0, "QoS of the will")
	f.BoolVar(&c.willRetain, "will-retain", false, "make the will retained")
	f.StringVar(&c.cafile, "cafile", "", "`file` of trusted certificates (PEM); makes TLS")
	f.StringVar(&c.cert, "cert", "", "`file` of this client's certificate (PEM)")
	f.StringVar(&c.key, "key", "", "`file` of this client's private key (PEM)")
	f.BoolVar(&c.osCerts, "tls-use-os-certs", false, "trust the system's certificates; makes TLS")
	f.StringVar(&c.alpn, "tls-alpn", "", "application protocol to ask for in TLS")
	f.BoolVar(&c.insecure, "insecure", false, "do not check that the certificate is for the host")
	f.BoolVar(&c.noDelay, "nodelay", true, "send small packets at once; it is always so")
	f.IntVarP(&c.maxInflight, "max-inflight", "M", 20, "QoS 1 and 2 messages sent and not acknowledged, 0 for as many as the server allows")
	f.StringArrayVarP(&c.propertyFlags, "property", "D", nil, "MQTT 5.0 property: `packet name value`, or packet user-property name value")
	f.BoolVarP(&c.debug, "debug", "d", false, "print each packet")
	f.BoolVar(&c.quiet, "quiet", false, "print no errors of the connection")
	f.Bool("help", false, "print this help")
}

// options turns the flags into those of the client.
func (c *connection) options(cmd *cobra.Command) (client.Options, error) {
	if c.saved {
		if err := applyContext(cmd, c.context); err != nil {
			return client.Options{}, err
		}
	}
	o := client.Options{Password: nil, MaxInflight: c.maxInflight}
	var err error
	if c.props, err = parseProperties(c.propertyFlags); err != nil {
		return o, err
	}
	if o.Version, err = parseVersion(c.version); err != nil {
		return o, err
	}
	if len(c.propertyFlags) > 0 {
		o.Version = packet.V5 // only there properties exist
	}
	if err := c.session(&o); err != nil {
		return o, err
	}
	o.Username = c.username
	if cmd.Flags().Changed("pw") {
		o.Password = []byte(c.password)
	}
	if err := c.server(cmd, &o); err != nil {
		return o, err
	}
	if err := c.will(&o); err != nil {
		return o, err
	}
	if c.tls {
		if o.TLS, err = c.tlsConfig(); err != nil {
			return o, err
		}
	}
	if c.props.connect != nil {
		c.props.connect(&o)
	}
	if c.maxInflight < 0 {
		return o, misused("--max-inflight must not be less than 0.")
	}
	if o.Password != nil && o.Username == "" && o.Version != packet.V5 {
		return o, misused("a password needs a user name in MQTT 3.x; add --username.")
	}
	return o, nil
}

func parseVersion(s string) (packet.Version, error) {
	switch strings.TrimPrefix(s, "mqttv") {
	case "31", "3.1", "3":
		return packet.V31, nil
	case "311", "3.1.1", "4":
		return packet.V311, nil
	case "5", "5.0":
		return packet.V5, nil
	}
	return 0, misused("--protocol-version %q is none of 5, 311 and 31.", s)
}

// session sets what identifies and keeps the session.
func (c *connection) session(o *client.Options) error {
	o.ClientID, o.CleanStart = c.id, !c.keepSession
	if c.idPrefix != "" {
		if c.id != "" {
			return misused("--id and --id-prefix exclude each other; leave one out.")
		}
		o.ClientID = c.idPrefix + strconv.Itoa(os.Getpid())
	}
	switch c.sessionExpiry {
	case "":
		if c.keepSession {
			o.SessionExpiry = -1
		}
	case "-1", "∞":
		o.SessionExpiry = -1
	default:
		n, err := strconv.ParseUint(c.sessionExpiry, 10, 32)
		if err != nil {
			return misused("--session-expiry-interval must be a number of seconds, or -1, not %q.", c.sessionExpiry)
		}
		o.SessionExpiry = expiry(n)
	}
	if o.ClientID == "" && (c.keepSession || o.SessionExpiry < 0) {
		return misused("a session that outlives the connection needs a client identifier; add --id.")
	}
	if c.keepAlive < 0 || c.keepAlive > 65535 {
		return misused("--keepalive must be from 0 to 65535, not %d.", c.keepAlive)
	}
	if o.KeepAlive = time.Duration(c.keepAlive) * time.Second; c.keepAlive == 0 {
		o.KeepAlive = -1
	}
	return nil
}

// server sets where to connect.
func (c *connection) server(cmd *cobra.Command, o *client.Options) error {
	if c.url != "" {
		if err := c.parseURL(o); err != nil {
			return err
		}
	}
	if c.port < 0 || c.port > 65535 || c.port == 0 && cmd.Flags().Changed("port") {
		return misused("--port must be from 1 to 65535, not %d.", c.port)
	}
	c.tls = c.tls || c.cafile != "" || c.cert != "" || c.osCerts || c.port == 8883
	if c.unix != "" {
		path, err := filepath.Abs(c.unix)
		if err != nil {
			return misused("--unix: %v.", err)
		}
		u := url.URL{Scheme: "unix", Path: filepath.ToSlash(path)}
		o.URL = u.String()
		return nil
	}
	port := c.port
	if port == 0 {
		port = 1883
		if c.tls {
			port = 8883
		}
	}
	u := url.URL{Scheme: "mqtt", Host: net.JoinHostPort(c.host, strconv.Itoa(port))}
	if c.ws {
		u.Scheme, u.Path = "ws", c.wsPath
	}
	if c.tls {
		u.Scheme += "s"
	}
	o.URL = u.String()
	return nil
}

// parseURL takes --url apart by hand: its path is a topic, in which # and ?
// mean what they mean in MQTT.
func (c *connection) parseURL(o *client.Options) error {
	scheme, rest, ok := strings.Cut(c.url, "://")
	if !ok {
		return misused("--url %q has no scheme; use mqtt://, mqtts://, ws:// or wss://.", c.url)
	}
	switch scheme {
	case "mqtt":
	case "mqtts":
		c.tls = true
	case "ws":
		c.ws = true
	case "wss":
		c.ws, c.tls = true, true
	default:
		return misused("--url: unknown scheme %q; use mqtt://, mqtts://, ws:// or wss://.", scheme)
	}
	authority, name, _ := strings.Cut(rest, "/")
	c.urlTopic = name
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, has := strings.Cut(authority[:i], ":")
		o.Username = unescape(user)
		if has {
			o.Password = []byte(unescape(password))
		}
		authority = authority[i+1:]
	}
	c.host = authority
	if host, port, err := net.SplitHostPort(authority); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return misused("--url: the port must be from 1 to 65535, not %q.", port)
		}
		c.host, c.port = host, int(n)
	}
	c.host = strings.Trim(c.host, "[]")
	if c.host == "" {
		return misused("--url %q has no host.", c.url)
	}
	return nil
}

// unescape decodes %xx, and leaves alone what is no such thing.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func (c *connection) will(o *client.Options) error {
	if c.willTopic == "" {
		if c.willPayload != "" || c.willQoS != 0 || c.willRetain {
			return misused("a will needs a topic; add --will-topic.")
		}
		return nil
	}
	if err := topic.CheckName(c.willTopic); err != nil {
		return misused("--will-topic %q: %v.", c.willTopic, err)
	}
	if err := checkQoS("--will-qos", c.willQoS); err != nil {
		return err
	}
	o.Will = &client.Message{
		Topic:      c.willTopic,
		Payload:    []byte(c.willPayload),
		QoS:        byte(c.willQoS),
		Retain:     c.willRetain,
		Properties: c.props.will,
	}
	return nil
}

func checkQoS(flag string, qos int) error {
	if qos < 0 || qos > 2 {
		return misused("%s must be 0, 1 or 2, not %d.", flag, qos)
	}
	return nil
}

// tlsConfig reads the certificates. --insecure leaves out only the host name:
// the certificate must still be signed by somebody trusted.
func (c *connection) tlsConfig() (*tls.Config, error) {
	t := &tls.Config{}
	if c.alpn != "" {
		t.NextProtos = []string{c.alpn}
	}
	if c.cafile != "" {
		pem, err := os.ReadFile(c.cafile)
		if err != nil {
			return nil, fmt.Errorf("Error: --cafile: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if c.osCerts {
			if t.RootCAs, err = x509.SystemCertPool(); err != nil {
				return nil, fmt.Errorf("Error: --tls-use-os-certs: %w", err)
			}
		}
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("Error: --cafile: no certificate in %s", c.cafile)
		}
	}
	if (c.cert == "") != (c.key == "") {
		return nil, misused("--cert and --key belong together; give both.")
	}
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("Error: --cert and --key: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if c.insecure {
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, t.RootCAs) }
	}
	return t, nil
}

func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(opts)
	return err
}

// dial connects, with --debug's lines on s.out. An error is ready to print.
func (c *connection) dial(ctx context.Context, s streams, o client.Options) (*client.Client, error) {
	if c.debug && !c.quiet {
		o.Trace = newTracer(s.out, o.ClientID).packet
	}
	cl, err := client.Connect(ctx, o)
	if err != nil {
		return nil, c.report(connectError(err, o.Version))
	}
	return cl, nil
}

// report drops the message of an error when --quiet is given.
func (c *connection) report(err error) error {
	if err == nil || !c.quiet {
		return err
	}
	return &exitError{status: statusOf(err)}
}

// leave disconnects with what -D says and waits for the end.
func (c *connection) leave(ctx context.Context, cl *client.Client) {
	p := &packet.Disconnect{}
	if d := c.props.disconnect; cl.Err() == nil {
		if d.sessionExpiry != nil {
			p.Properties.SessionExpiry = *d.sessionExpiry
			p.Properties.Mark(packet.PropSessionExpiry)
		}
		if d.reason != "" {
			p.Properties.ReasonString = []byte(d.reason)
			p.Properties.Mark(packet.PropReasonString)
		}
		for _, u := range d.user {
			p.Properties.User = append(p.Properties.User, packet.User{Key: []byte(u.Key), Value: []byte(u.Value)})
			p.Properties.Mark(packet.PropUser)
		}
	}
	// The outcome does not depend on it: all that counts has been acknowledged.
	_ = cl.DisconnectWith(ctx, p)
	_ = cl.Close()
}
