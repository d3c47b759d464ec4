// Package scram is the SCRAM-SHA-256 exchange of RFC 5802 and RFC 7677, both sides.
//
// It knows no MQTT, reads no file and makes no random numbers: nonces come in from
// outside. Client and Server are pure state machines of one exchange and are not
// safe for concurrent use. Channel binding is not supported.
package scram
