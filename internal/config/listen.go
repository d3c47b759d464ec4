package config

import (
	"fmt"
	"path"
	"strings"

	"github.com/wirebird/wirebird/internal/transport"
)

// parseListen replaces the addresses of c by those in s, between commas.
func parseListen(c *Config, s string) bool {
	c.Listen = nil
	for url := range strings.SplitSeq(s, ",") {
		if url = strings.TrimSpace(url); url != "" {
			c.Listen = append(c.Listen, Listener{URL: url})
		}
	}
	return len(c.Listen) > 0
}

func formatListen(c *Config) string {
	var urls []string
	for _, l := range c.Listen {
		urls = append(urls, l.URL)
	}
	return strings.Join(urls, ",")
}

// checkURLs returns what is wrong with each address alone.
func checkURLs(list []Listener) []error {
	var errs []error
	for _, l := range list {
		switch _, err := transport.ParseListen(l.URL); {
		case err != nil:
			errs = append(errs, err)
		case !printable(l.URL):
			errs = append(errs, fmt.Errorf("listen address %s: want printable text", quote(l.URL)))
		}
	}
	return errs
}

// checkOrigins returns what is wrong with the origins of l.
func checkOrigins(l Listener) error {
	u, err := transport.ParseListen(l.URL)
	if err != nil {
		return nil // checkURLs has said so
	}
	if len(l.Origins) > 0 && !u.WebSocket {
		return fmt.Errorf("listen %s: origins are for ws and wss, browsers connect to nothing else", l.URL)
	}
	for _, origin := range l.Origins {
		if _, err := path.Match(origin, ""); err != nil || origin == "" || !printable(origin) {
			return fmt.Errorf("listen %s: origins: want host names, perhaps with *, not %s", l.URL, quote(origin))
		}
	}
	return nil
}
