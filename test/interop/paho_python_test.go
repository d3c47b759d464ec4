package interop

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// debianPython is the interpreter that Debian's packages of modules belong to.
const debianPython = "/usr/bin/python3"

// python starts a program of testdata/paho.
func python(t *testing.T, env []string, name string, args ...string) *program {
	t.Helper()
	return start(t, command{
		path: need(t, debianPython),
		args: append([]string{filepath.Join("testdata", "paho", name)}, args...),
		env:  append(env, "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"),
	})
}

// needPaho ends the test where Paho 1.x is not installed. Paho 2 changed the
// callbacks, so programs for 1.x do not run with it.
func needPaho(t *testing.T) {
	t.Helper()
	p := start(t, command{path: need(t, debianPython), args: []string{"-c", "import paho.mqtt; print(paho.mqtt.__version__)"}})
	if p.wait() != 0 || p.out.all()[0] != '1' {
		absent(t, "Paho 1.x for Python is not installed")
	}
}

func TestTutorialProgramsTalk(t *testing.T) {
	needPaho(t)
	for _, scheme := range []string{"tcp", "ws"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel() // the programs sleep most of the time
			env := startBroker(t, brokerOptions{}).environment(scheme)
			subscriber := python(t, env, "subscriber.py")
			subscriber.expect(`^Connected to MQTT Broker!$`)
			publisher := python(t, env, "publisher.py")
			publisher.expect(`^Connected to MQTT Broker!$`)
			for i := range 3 {
				publisher.expect(fmt.Sprintf("^Send `messages: %d` to topic `python/mqtt`$", i))
				got := subscriber.expect("^Received `(.*)` from `python/mqtt` topic$")[1]
				if want := fmt.Sprintf("messages: %d", i); got != want {
					t.Fatalf("message %d is %q, want %q", i, got, want)
				}
			}
		})
	}
}

func TestPahoPython(t *testing.T) {
	needPaho(t)
	all := []string{"31", "311", "5"}
	for _, s := range []struct {
		name     string
		versions []string
	}{
		{"qos", all},
		{"order", []string{"311", "5"}},
		{"granted_qos", []string{"311", "5"}},
		{"unsubscribed", []string{"311", "5"}},
		{"retain", all},
		{"will", all},
		{"persistent_session", all},
		{"takeover", []string{"311", "5"}},
		{"v5_properties", []string{"5"}},
		{"v5_request_response", []string{"5"}},
		{"v5_message_expiry", []string{"5"}},
		{"v5_session_expiry", []string{"5"}},
		{"v5_subscription_options", []string{"5"}},
		{"v5_will_properties", []string{"5"}},
	} {
		for _, version := range s.versions {
			for _, scheme := range []string{"tcp", "ws"} {
				t.Run(s.name+"/"+version+"/"+scheme, func(t *testing.T) {
					if underTest() == mosquitto && s.name == "v5_will_properties" {
						t.Skip("Mosquitto 2.0 keeps the will of a session that has ended for its whole delay")
					}
					env := startBroker(t, brokerOptions{}).environment(scheme)
					python(t, env, "scenarios.py", s.name, version).succeed()
				})
			}
		}
	}
}

// TestPasswordFileDecidesWhoConnects uses files that mosquitto_passwd writes.
func TestPasswordFileDecidesWhoConnects(t *testing.T) {
	needPaho(t)
	if underTest() == mosquitto {
		t.Skip("Mosquitto answers with other codes")
	}
	passwd := need(t, "mosquitto_passwd")
	for hash, flags := range map[string][]string{
		"PBKDF2 $7$":  {"-H", "sha512-pbkdf2"},
		"SHA-512 $6$": {"-H", "sha512"},
	} {
		t.Run(hash, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "passwords")
			start(t, command{path: passwd, args: slices.Concat(flags, []string{"-c", "-b", file, "ann", "correct horse"})}).succeed()
			start(t, command{path: passwd, args: slices.Concat(flags, []string{"-b", file, "bob", "ünï"})}).succeed()
			b := startBroker(t, brokerOptions{passwordFile: file})
			for _, version := range []string{"31", "311", "5"} {
				logins(t, b.environment("tcp"), version)
			}
			logins(t, b.environment("ws"), "5")
		})
	}
}

// logins tries to connect, rightly and wrongly.
func logins(t *testing.T, env []string, version string) {
	t.Helper()
	attempts := []struct {
		what        string
		credentials []string
		old, v5     string // the codes of 3.1 and 3.1.1, and of 5.0
	}{
		{"right password", []string{"ann", "correct horse"}, "0x0", "0x0"},
		{"right password, not ASCII", []string{"bob", "ünï"}, "0x0", "0x0"},
		{"wrong password", []string{"ann", "Correct horse"}, "0x4", "0x86"},
		{"another's password", []string{"ann", "ünï"}, "0x4", "0x86"},
		{"unknown user", []string{"eve", "correct horse"}, "0x4", "0x86"},
		{"no password", []string{"ann"}, "0x4", "0x86"},
		{"no user name", []string{}, "0x5", "0x87"},
	}
	args := []string{version}
	for _, a := range attempts {
		list, err := json.Marshal(a.credentials)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, string(list))
	}
	p := python(t, env, "login.py", args...)
	for _, a := range attempts {
		want := a.old
		if version == "5" {
			want = a.v5
		}
		if got := p.expect(`^code (.*)$`)[1]; got != want {
			t.Errorf("MQTT %s, %s: CONNACK has code %s, want %s", version, a.what, got, want)
		}
	}
}
