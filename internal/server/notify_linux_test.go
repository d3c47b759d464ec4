package server_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSystemdIsTold(t *testing.T) {
	path := strings.TrimPrefix(unixURL(t), "unix://")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := ln.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		b := make([]byte, 256)
		n, err := ln.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile("^" + want + "$").Match(b[:n]) {
			t.Errorf("systemd is told %q; want %q", b[:n], want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", path)
	n := start(t, loopback())
	expect("READY=1")
	n.Reload()
	expect("RELOADING=1\nMONOTONIC_USEC=[0-9]+")
	expect("READY=1")
	n.stop()
	expect("STOPPING=1")
	n.wait()
}

func TestDeadNotifySocketIsNoReasonToStop(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", strings.TrimPrefix(unixURL(t), "unix://"))
	n := start(t, loopback())
	n.stop()
	n.wait()
	if len(n.log.entries(t, "notify systemd")) != 2 {
		t.Errorf("the failures are not logged:\n%s", n.log)
	}
}
