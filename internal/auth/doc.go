// Package auth answers who a client is: password files and SCRAM verifiers.
//
// It knows the password file that mosquitto_passwd writes, and a file of verifiers
// for SCRAM-SHA-256 in PostgreSQL's form. It knows no MQTT, opens no connection, and
// what a user may publish or subscribe to is not decided here.
//
// Passwords and ScramUsers are safe for concurrent use and are replaced as a
// whole by Reload. Checking a password takes as long as its hash asks for, up to
// seconds and hundreds of mebibytes, so callers run it in a bounded pool and never
// on a connection's event loop.
package auth
