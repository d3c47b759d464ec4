package transport

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"testing"
)

// When this fails a Go release has changed crypto/tls: idle connections cost 3 KB more
// until slim knows its new buffers, or they are gone and slim can go too.
func TestTheBuffersOfCryptoTLSAreWhereSlimLooks(t *testing.T) {
	if !slimmable {
		t.Error("tls.Conn has no buffers named rawInput and hand")
	}
}

func TestOtherLayoutsAreLeftAlone(t *testing.T) {
	for _, other := range []any{
		struct{}{},
		struct{ rawInput, hand bytes.Buffer }{},
		struct {
			rawInput, hand *bytes.Buffer
			input          bytes.Reader
		}{},
		struct {
			rawInput, hand bytes.Buffer
			input          []byte
		}{},
	} {
		if _, _, ok := findBuffers(reflect.TypeOf(other)); ok {
			t.Errorf("%T is taken for a tls.Conn", other)
		}
	}
}

func TestSlimKeepsWhatIsNotEmpty(t *testing.T) {
	if !slimmable {
		t.Skip("nothing to let go of")
	}
	conn := tls.Server(nil, nil)
	v := reflect.ValueOf(conn).Elem()
	buffer := func(name string) *bytes.Buffer {
		return (*bytes.Buffer)(v.FieldByName(name).Addr().UnsafePointer())
	}
	raw, hand := buffer("rawInput"), buffer("hand")
	raw.WriteString("half a record")
	hand.WriteString("x")
	hand.Next(1)
	slim(conn)
	if raw.String() != "half a record" {
		t.Errorf("rawInput holds %q", raw)
	}
	if hand.Cap() != 0 {
		t.Errorf("hand keeps %d bytes", hand.Cap())
	}
}
