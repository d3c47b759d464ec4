package packet_test

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/wirebird/wirebird/packet"
)

func ExampleParse() {
	received := []byte{0x32, 0x09, 0x00, 0x03, 'a', '/', 'b', 0x00, 0x05, 'h', 'i', 0xC0, 0x00, 0x40}
	for {
		p, n, err := packet.Parse(packet.V311, received)
		if err != nil {
			fmt.Println("close the connection:", packet.ReasonOf(err))
			return
		}
		if n == 0 {
			fmt.Println("wait for more after", len(received), "byte")
			return
		}
		fmt.Println(p)
		received = received[n:]
	}
	// Output:
	// PUBLISH q1 r0 d0 id=5 topic="a/b" payload=2B
	// PINGREQ
	// wait for more after 1 byte
}

func ExampleReasonOf() {
	err := fmt.Errorf("publish to %q: %w", "a/b", &packet.Error{Code: packet.NotAuthorized})
	fmt.Println(packet.ReasonOf(err))
	fmt.Println(packet.ReasonOf(os.ErrNotExist))
	fmt.Println(packet.ReasonOf(nil))
	// Output:
	// not authorized
	// unspecified error
	// success
}

func ExampleReader() {
	var wire []byte
	wire = (&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("a/#"), QoS: 1}}}).Append(wire, packet.V5)
	wire = (&packet.Disconnect{}).Append(wire, packet.V5)

	r := packet.NewReader(bytes.NewReader(wire), packet.V5, 1<<20)
	for {
		p, err := r.ReadPacket()
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p)
	}
	// Output:
	// SUBSCRIBE id=1 filter="a/#" q1
	// DISCONNECT code="success"
}

func ExampleProperties_Mark() {
	p := &packet.Publish{Topic: []byte("a/b")}
	p.Properties.MessageExpiry = 60
	p.Properties.Mark(packet.PropMessageExpiry)
	fmt.Println(p)
	// Output: PUBLISH q0 r0 d0 topic="a/b" payload=0B {message-expiry=60}
}

func ExampleAppendPublish() {
	out, idAt := packet.AppendPublish(nil, packet.V5, 1<<1, "a/b", 0, nil, []byte("hi"))
	for _, id := range []byte{1, 2} { // the same bytes for two subscribers
		out[idAt], out[idAt+1] = 0, id
		p, _, _ := packet.Parse(packet.V5, out)
		fmt.Println(p)
	}
	// Output:
	// PUBLISH q1 r0 d0 id=1 topic="a/b" payload=2B
	// PUBLISH q1 r0 d0 id=2 topic="a/b" payload=2B
}
