// Package auth answers who a client is: password files and SCRAM.
//
// It knows the password file that mosquitto_passwd writes, the SCRAM-SHA-256
// exchange of RFC 5802 and RFC 7677, and a file of SCRAM verifiers in
// PostgreSQL's form. It knows no MQTT, opens no connection, and what a user may
// publish or subscribe to is not decided here.
//
// Passwords and ScramUsers are safe for concurrent use and are replaced as a
// whole by Reload. ScramServer and ScramClient are pure state machines of one
// exchange: nonces come in from outside, and they are not safe for concurrent
// use. Checking a password takes as long as its hash asks for, up to seconds
// and hundreds of mebibytes, so callers run it in a bounded pool and never on a
// connection's event loop.
package auth
