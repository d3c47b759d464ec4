package cli

import (
	"context"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/client"
	"github.com/wirebird/wirebird/internal/load"
	"github.com/wirebird/wirebird/packet"
)

// serverFlags are the flags of commands that talk to a broker and have no like in
// Mosquitto. Names and letters are the same as in those that have.
type serverFlags struct {
	context            string
	host, url, unix    string
	port               int
	username, password string
	version            string
	cafile, cert, key  string
	osCerts, insecure  bool

	anyVersion bool // --protocol-version was not given, nor by a context
}

func (v *serverFlags) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&v.context, "context", "", "use the connection saved under this `name`; see 'wirebird context'")
	f.StringVarP(&v.host, "host", "h", "localhost", "server to connect to")
	f.IntVarP(&v.port, "port", "p", 0, "port to connect to (default 1883, 8883 with TLS)")
	f.StringVarP(&v.url, "url", "L", "", "all at once: mqtt(s)|ws(s)://[user[:password]@]host[:port][/path], unix:///path")
	f.StringVar(&v.unix, "unix", "", "connect to a Unix domain socket at this `path`")
	f.StringVarP(&v.username, "username", "u", "", "user name")
	f.StringVarP(&v.password, "pw", "P", "", "password")
	f.StringVarP(&v.version, "protocol-version", "V", "", "protocol `version`: 5, 311 or 31")
	f.StringVar(&v.cafile, "cafile", "", "`file` of trusted certificates (PEM); makes TLS")
	f.StringVar(&v.cert, "cert", "", "`file` of this client's certificate (PEM)")
	f.StringVar(&v.key, "key", "", "`file` of this client's private key (PEM)")
	f.BoolVar(&v.osCerts, "tls-use-os-certs", false, "trust the system's certificates; makes TLS")
	f.BoolVar(&v.insecure, "insecure", false, "do not check that the certificate is for the host")
	f.Bool("help", false, "print this help")
	for name, words := range map[string]cobra.CompletionFunc{
		"context": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return contextNames(), cobra.ShellCompDirectiveNoFileComp
		},
		"protocol-version": cobra.FixedCompletions([]string{"5", "311", "31"}, cobra.ShellCompDirectiveNoFileComp),
		"url":              cobra.FixedCompletions([]string{"mqtt://", "mqtts://", "ws://", "wss://", "unix://"}, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace),
	} {
		_ = cmd.RegisterFlagCompletionFunc(name, words) // the flags are there
	}
}

// address is the URL of the server that the flags come down to.
func (v *serverFlags) address() (string, error) {
	if v.url != "" {
		if !strings.Contains(v.url, "://") {
			return "mqtt://" + v.url, nil
		}
		return v.url, nil
	}
	if v.unix != "" {
		path, err := filepath.Abs(v.unix)
		if err != nil {
			return "", misused("--unix: %v.", err)
		}
		u := url.URL{Scheme: "unix", Path: filepath.ToSlash(path)}
		return u.String(), nil
	}
	if v.port < 0 || v.port > 65535 {
		return "", misused("--port must be from 1 to 65535, not %d.", v.port)
	}
	secure := v.cafile != "" || v.cert != "" || v.osCerts || v.port == 8883
	u, port := url.URL{Scheme: "mqtt"}, v.port
	if secure {
		u.Scheme = "mqtts"
	}
	if port == 0 {
		port = 1883
		if secure {
			port = 8883
		}
	}
	u.Host = net.JoinHostPort(v.host, strconv.Itoa(port))
	return u.String(), nil
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

func checkQoS(flag string, qos int) error {
	if qos < 0 || qos > 2 {
		return misused("%s must be 0, 1 or 2, not %d.", flag, qos)
	}
	return nil
}

// settle takes the saved connection into account and checks the version.
func (v *serverFlags) settle(cmd *cobra.Command) (packet.Version, error) {
	if err := applyContext(cmd, v.context); err != nil {
		return 0, err
	}
	if v.version == "" {
		v.anyVersion = true
		return packet.V5, nil
	}
	return parseVersion(v.version)
}

// options are those of a client.
func (v *serverFlags) options(cmd *cobra.Command) (client.Options, error) {
	var o client.Options
	var err error
	if o.Version, err = v.settle(cmd); err != nil {
		return o, err
	}
	if o.URL, err = v.address(); err != nil {
		return o, err
	}
	if o.TLS, err = v.tls(); err != nil {
		return o, err
	}
	o.Username = v.username
	if cmd.Flags().Changed("pw") {
		o.Password = []byte(v.password)
	}
	o.CleanStart = true
	return o, nil
}

// connect connects with 5.0, or with 3.1.1 to a server that does not speak
// that, unless a version was asked for.
func (v *serverFlags) connect(ctx context.Context, o client.Options) (*client.Client, packet.Version, error) {
	c, err := client.Connect(ctx, o)
	if err != nil && v.anyVersion && packet.ReasonOf(err) == packet.UnsupportedProtocolVersion {
		o.Version = packet.V311
		c, err = client.Connect(ctx, o)
	}
	if err != nil {
		return nil, o.Version, connectError(err, o.Version, o.URL)
	}
	return c, o.Version, nil
}

// target is the same server for measurements.
func (v *serverFlags) target(cmd *cobra.Command, address string) (*load.Target, packet.Version, error) {
	version, err := v.settle(cmd)
	if err != nil {
		return nil, 0, err
	}
	if v.anyVersion {
		version = packet.V311
	}
	if version == packet.V31 {
		return nil, 0, misused("measurements speak 3.1.1 and 5.0; use -V 311.")
	}
	if address == "" {
		if address, err = v.address(); err != nil {
			return nil, 0, err
		}
	}
	t, err := v.tls()
	if err != nil {
		return nil, 0, err
	}
	g, err := load.NewTarget(address, v.username, v.password, t)
	if err != nil {
		return nil, 0, misused("%v.", err)
	}
	return g, version, nil
}
