// Package conform checks a broker against the numbered statements of MQTT 3.1.1
// and 5.0, and against what MQTT 3.1 does otherwise.
//
// It speaks to any broker over sockets and knows nothing of this one. A check is
// a conversation of one or more connections that fails when the statements it
// names are broken. Statements that no check covers have a reason in a table
// beside those of the statements.
//
// Every wait is bounded. That something does not come is shown by what comes
// instead, a PINGRESP or a marker message, not by waiting. Topics and client
// identifiers are unique to a check and what is left behind, sessions and
// retained messages, is removed, so that a broker in use can be checked.
package conform
