package transport

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// Places of the buffers that a tls.Conn keeps for its handshake, 3.4 KB, for as long as
// the connection lasts: a third of what an idle one costs. crypto/tls has no way to let
// go of them (Go issue 81348), so this file does: see docs/decisions/0013.
var rawInputAt, handAt, slimmable = findBuffers(reflect.TypeFor[tls.Conn]())

// findBuffers looks for the buffers in conn, which is tls.Conn. A Go release that has
// them under other names or types is left alone.
func findBuffers(conn reflect.Type) (rawInput, hand uintptr, ok bool) {
	r, okR := conn.FieldByName("rawInput")
	h, okH := conn.FieldByName("hand")
	i, okI := conn.FieldByName("input")
	buffer := reflect.TypeFor[bytes.Buffer]()
	ok = okR && okH && okI && r.Type == buffer && h.Type == buffer && i.Type == reflect.TypeFor[bytes.Reader]()
	return r.Offset, h.Offset, ok
}

// slim lets go of the buffers of conn that are empty. The caller is the only user of conn
// and has read all that it had to give: a Read has said that there is no more, so nothing
// points into rawInput.
func slim(conn *tls.Conn) {
	if !slimmable {
		return
	}
	for _, at := range [...]uintptr{rawInputAt, handAt} {
		if b := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(conn), at)); b.Len() == 0 {
			*b = bytes.Buffer{}
		}
	}
}
