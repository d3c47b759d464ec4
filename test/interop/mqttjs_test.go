package interop

import (
	"os"
	"path/filepath"
	"testing"
)

// needMQTTJS ends the test where MQTT.js or Node.js is not installed.
func needMQTTJS(t *testing.T) {
	t.Helper()
	need(t, "node")
	if _, err := os.Stat(filepath.Join("js", "node_modules", "mqtt")); err != nil {
		absent(t, "MQTT.js is not installed")
	}
}

func TestMQTTJS(t *testing.T) {
	needMQTTJS(t)
	var (
		all    = []string{"3", "4", "5"}
		modern = []string{"4", "5"}
		v5     = []string{"5"}
		plain  = []string{"tcp", "ws"}
		every  = []string{"tcp", "ws", "tls", "wss"}
	)
	for _, s := range []struct {
		name              string
		versions, schemes []string
	}{
		{"qos", all, plain},
		{"qos", modern, []string{"tls", "wss"}},
		{"order", modern, plain},
		{"retain", modern, plain},
		{"will", modern, every},
		{"persistentSession", all, plain},
		{"reconnect", modern, plain},
		{"large", v5, every},
		{"v5RequestResponse", v5, plain},
		{"v5SubscriptionIdentifier", v5, plain},
		{"v5TopicAlias", v5, plain},
	} {
		for _, version := range s.versions {
			for _, scheme := range s.schemes {
				t.Run(s.name+"/"+version+"/"+scheme, func(t *testing.T) {
					var o brokerOptions
					var env []string
					if scheme == "tls" || scheme == "wss" {
						o.listeners, o.pair = []string{"tls", "wss"}, newCertificate(t)
						env = []string{"MQTT_CA=" + o.pair.caFile}
					}
					env = append(env, startBroker(t, o).environment(scheme)...)
					start(t, command{
						path: need(t, "node"),
						args: []string{"scenarios.js", s.name, version},
						env:  env,
						dir:  "js",
					}).succeed()
				})
			}
		}
	}
}
