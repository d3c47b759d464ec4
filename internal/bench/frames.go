package bench

import (
	"fmt"
	"io"

	"github.com/wirebird/wirebird/packet"
)

// frames cuts a stream into packets without decoding them. Other than
// packet.Reader it tells what is at hand from what must be waited for, so that
// one write can answer all packets of one read.
type frames struct {
	src io.Reader
	buf []byte // buf[pos:end] has been read and not yet returned
	pos int
	end int
}

const (
	frameBuffer = 64 << 10
	frameBytes  = 2 * maxPayload // a packet longer than this is none of ours
)

func newFrames(src io.Reader) *frames { return &frames{src: src, buf: make([]byte, frameBuffer)} }

// fill reads once. What next has returned is no longer valid.
func (f *frames) fill() error {
	if f.pos > 0 {
		f.end = copy(f.buf, f.buf[f.pos:f.end])
		f.pos = 0
	}
	if f.end == len(f.buf) { // a packet larger than the buffer; next bounds how large
		f.buf = append(f.buf, make([]byte, len(f.buf))...)
	}
	n, err := f.src.Read(f.buf[f.end:])
	f.end += n
	if n > 0 {
		return nil
	}
	return err
}

// next returns the next packet that has been read in full; its type is 0 when
// there is none. The body is valid until fill.
func (f *frames) next() (packet.Header, []byte, error) {
	b := f.buf[f.pos:f.end]
	h, n, err := packet.ParseHeader(b)
	if err == nil && h.Remaining > frameBytes {
		err = fmt.Errorf("the broker sends %v of %d bytes", h.Type, h.Remaining)
	}
	if err != nil || n == 0 || len(b)-n < h.Remaining {
		return packet.Header{}, nil, err
	}
	f.pos += n + h.Remaining
	return h, b[n : n+h.Remaining], nil
}
