package config

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/wirebird/wirebird/internal/transport"
)

// Validate reports everything that is wrong with c, one problem a line: values
// out of range, settings that contradict each other, and listeners that would
// be open to the network without anybody having said so. Load has called it.
func (c Config) Validate() error {
	errs := append(c.checkValues(), checkURLs(c.Listen)...)
	if len(errs) == 0 { // the rest would only repeat it
		errs = append(errs, c.checkAddresses()...)
		errs = append(errs, c.checkTLS()...)
		errs = append(errs, c.checkData()...)
		for _, l := range c.Listen {
			errs = append(errs, c.checkListener(l))
		}
	}
	return errors.Join(errs...)
}

// checkValues reads every value back from its text, which needs no second
// description of the ranges.
func (c Config) checkValues() (errs []error) {
	for _, s := range settings() {
		scratch := c
		if err := s.set(&scratch, s.format(&c)); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.key, err))
		}
	}
	return errs
}

// checkAddresses finds addresses that would be bound twice. Port 0 is a
// different port each time.
func (c Config) checkAddresses() (errs []error) {
	taken := make(map[string]string) // address to setting
	add := func(network, address, name string) {
		if _, port, err := net.SplitHostPort(address); network == "tcp" && err == nil && port == "0" {
			return
		}
		if network == "tcp" {
			address = strings.ToLower(address) // the case of a host name does not matter
		}
		address = network + " " + address
		if first, ok := taken[address]; ok {
			errs = append(errs, fmt.Errorf("%s: %s has the same address", name, first))
			return
		}
		taken[address] = name
	}
	for _, l := range c.Listen {
		u, err := transport.ParseListen(l.URL)
		if err != nil {
			continue // checkURLs has said so
		}
		add(u.Network, u.Address, "listen "+l.URL)
	}
	if c.Admin != "" {
		add("tcp", c.Admin, "admin "+c.Admin)
	}
	return errs
}

func (c Config) checkTLS() []error {
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		return []error{errors.New("tls_cert is given without tls_key; add --tls-key FILE")}
	case c.TLSCert == "" && c.TLSKey != "":
		return []error{errors.New("tls_key is given without tls_cert; add --tls-cert FILE")}
	}
	return nil
}

func (c Config) checkData() []error {
	switch {
	case c.InMemory && c.Data != "":
		return []error{fmt.Errorf("in_memory keeps nothing on disk, but data is %s; leave one of them out", c.Data)}
	case !c.InMemory && c.Data == "":
		return []error{errors.New("no home directory to keep data in; pass --data DIR or --in-memory")}
	}
	return nil
}

// checkListener checks what a listener needs of the other settings.
func (c Config) checkListener(l Listener) error {
	u, err := transport.ParseListen(l.URL)
	if err != nil {
		return nil // checkURLs has said so
	}
	if u.TLS && c.TLSCert == "" && c.TLSKey == "" {
		return fmt.Errorf("listen %s needs --tls-cert FILE and --tls-key FILE", l.URL)
	}
	if err := checkOrigins(l); err != nil {
		return err
	}
	switch {
	case c.Authenticates() || c.Anonymous(l):
		return nil
	case l.AllowAnonymous != nil: // it is false
		return fmt.Errorf("listen %s: nobody could connect, because its allow_anonymous is false; "+
			"configure authentication (--password-file FILE)", l.URL)
	}
	return fmt.Errorf("listen %s: anyone on the network could connect without a password; "+
		"configure authentication (--password-file FILE) or pass --allow-anonymous", l.URL)
}
