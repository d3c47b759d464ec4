package cli

import (
	"strings"
	"testing"
)

func TestSavedServersBecomeOptions(t *testing.T) {
	for address, want := range map[string]string{
		"h":                       "--host h --port 1883",
		"mqtt://h:99":             "--host h --port 99",
		"tcp://[::1]":             "--host ::1 --port 1883",
		"mqtts://u:p%40w@h":       "--host h --port 8883 --tls-use-os-certs --username u --pw p@w",
		"ssl://h:1":               "--host h --port 1 --tls-use-os-certs",
		"ws://h":                  "--host h --ws --port 80",
		"wss://h/mqtt?k=v":        "--host h --ws --ws-path /mqtt?k=v --port 443 --tls-use-os-certs",
		"unix:///run/s":           "--unix /run/s",
		"mqtts+srv://example.org": "--host example.org -S --tls-use-os-certs",
		"http://h":                `Error: the saved connection has a URL with the scheme "http"; use mqtt, mqtts, ws, wss or unix.`,
	} {
		options, err := serverOptions(address, false)
		got := strings.Join(options, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	if got, _ := serverOptions("mqtts://h", true); strings.Join(got, " ") != "--host h --port 8883" {
		t.Errorf("with certificates of its own: %q", got)
	}
}
