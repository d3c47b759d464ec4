package server_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/metrics"
)

var update = flag.Bool("update", false, "rewrite the page of the configuration")

// configurationPage is the page as the code says. What the table cannot say is in the
// text before it.
func configurationPage() string {
	var b strings.Builder
	b.WriteString(configurationIntro)
	b.WriteString("| key | default | values | meaning |\n|---|---|---|---|\n")
	for _, k := range config.Reference() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, code(k.Default), cell(k.Want), cell(k.Help))
	}
	b.WriteString("\n## The same settings elsewhere\n\n| key | variable | flag |\n|---|---|---|\n")
	for _, k := range config.Reference() {
		fmt.Fprintf(&b, "| `%s` | `%s` | `%s` |\n", k.Name, k.Env, k.Flag)
	}
	return b.String()
}

func code(s string) string {
	if s == "" {
		return "none"
	}
	return "`" + cell(s) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

const configurationIntro = `# Configuration

Every setting has a default, and there are three places to change it; the later wins:

1. a file in YAML: ` + "`--config FILE`, else `$WIREBIRD_CONFIG`, else the first that exists of `wirebird.yaml`" + `
   in the working directory, ` + "`$XDG_CONFIG_HOME/wirebird/wirebird.yaml` and `/etc/wirebird/wirebird.yaml`" + `;
2. environment variables;
3. flags of ` + "`wirebird serve`. `--set KEY=VALUE`" + ` sets any key.

Names that are not known are errors in all three. ` + "`wirebird config check`" + ` tells whether the
broker would start, ` + "`wirebird config show`" + ` prints what holds and where it comes from, in a
form that can be used as a file. Relative paths are relative to the working directory.

` + "```yaml" + `
listen:
  - tcp://127.0.0.1:1883
  - url: wss://:8084/mqtt
    allow_anonymous: false
    origins: [app.example.com]
password_file: /etc/wirebird/users
tls_cert: /etc/wirebird/cert.pem
tls_key: /etc/wirebird/key.pem
limits:
  max_packet_size: 4MiB
` + "```" + `

## Addresses

An element of ` + "`listen`" + ` is an address, or a mapping with these keys:

| key | meaning |
|---|---|
| ` + "`url`" + ` | ` + "`tcp://HOST:PORT`, `tls://…`, `ws://HOST:PORT/PATH`, `wss://…` or `unix:///PATH`" + `; no host means all interfaces, port 0 a free one; ` + "`?proxy=true`" + ` expects the PROXY protocol |
| ` + "`allow_anonymous`" + ` | overrides the setting of the same name for this address |
| ` + "`origins`" + ` | host names, perhaps with ` + "`*`" + `, of web pages that may connect, or whole origins such as ` + "`https://*.example.com`" + `; for ws and wss only; none means any, but see below |

## Who may connect

| client | without files | with ` + "`password_file`" + ` | with ` + "`scram_file`" + ` only |
|---|---|---|---|
| no user name | where anonymous clients are admitted | where anonymous clients are admitted | where anonymous clients are admitted |
| user name and password | as without a name: there is nothing to check | if the password is right | as without a name |
| SCRAM-SHA-256 (MQTT 5.0) | refused | refused unless there is a ` + "`scram_file`" + ` too | if the exchange succeeds |

Anonymous clients are admitted at an address if its own ` + "`allow_anonymous`" + ` says so; else if
the general one says so; else, while there is no file of users, at addresses that only this
machine can reach. An address that would be open to the network without anybody having said so
is an error.

Where anonymous clients are admitted only because the address is of this machine, without any
` + "`allow_anonymous`" + `, web pages may connect from ` + "`localhost`, `127.0.0.1` and `[::1]`" + ` only: a browser on this
machine runs pages from anywhere. List other pages in ` + "`origins`" + `. Clients that send no Origin header, which
are all but browsers, are not affected.

A refused client gets "not authorized" (0x87, return code 5 in MQTT 3), with a wrong name or
password "bad user name or password" (0x86, return code 4).

## Reload

SIGHUP reads the files of ` + "`password_file`, `scram_file`, `tls_cert` and `tls_key`" + ` again, and
` + "`log_level`" + ` from its source. What cannot be read stays as it was, and the log says why. Clients that
are connected stay connected. Other settings need a restart.

## Data

The directory ` + "`data`" + ` holds sessions, their queues and retained messages. It is created and locked, so
that two brokers never share one. ` + "`durability`" + ` says what an acknowledgement promises; see
[durability.md](durability.md). With ` + "`in_memory`" + ` there is no directory, and all of it ends with the process.

A path that is given and empty, as ` + "`--password-file \"$USERS\"`" + ` with a variable that is not set, is an error;
an environment variable that is empty counts as not set.

## Settings

This page is made by a test from the code.

`

func TestConfigurationPageIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "configuration.md")
	if *update {
		if err := os.WriteFile(path, []byte(configurationPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(have), "\r\n", "\n") != configurationPage() {
		t.Errorf("%s is stale; run go test ./internal/server -update", path)
	}
}

// The example of the page must be one that works.
func TestConfigurationExampleLoads(t *testing.T) {
	_, rest, _ := strings.Cut(configurationPage(), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no example")
	}
	cfg, _, err := config.Load(config.Sources{File: writeFile(t, example), Env: []string{"HOME=/home/user", `LOCALAPPDATA=C:\Users\user\AppData\Local`}})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Listen) != 2 || cfg.Limits.MaxPacketSize != 4*config.MiB {
		t.Errorf("the example is %+v", cfg)
	}
}

// What docs/security.md names must exist.
func TestSecurityPageNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, k := range config.Reference() {
		known[k.Name] = true
	}
	page := metrics.Reference()
	for i, word := range strings.Split(string(text), "`") {
		switch {
		case i%2 == 0:
		case strings.HasPrefix(word, "limits.") && !known[word]:
			t.Errorf("there is no setting %s", word)
		case strings.HasPrefix(word, "wirebird_") && !strings.Contains(page, "`"+word+"`"):
			t.Errorf("there is no metric %s", word)
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "limits.max_subscription") && !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not on the page", name)
		}
	}
}
