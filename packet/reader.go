package packet

import (
	"fmt"
	"io"
)

const (
	readMin  = 4 << 10  // bytes of buffer to begin with
	readKept = 64 << 10 // a larger buffer is let go once it is empty
)

// Reader reads packets from a stream. It is for one goroutine.
type Reader struct {
	src     io.Reader
	version Version
	maxSize int
	buf     []byte // buf[pos:] has been read and not yet returned
	pos     int
	err     error // of src, or of a packet that ended it all
	packets [AUTH + 1]Packet
}

// NewReader returns a Reader of packets of version v. maxSize is the largest
// packet accepted, in bytes, fixed header included; 0 means MaxSize.
func NewReader(r io.Reader, v Version, maxSize int) *Reader {
	if maxSize <= 0 || maxSize > MaxSize {
		maxSize = MaxSize
	}
	return &Reader{src: r, version: v, maxSize: maxSize}
}

// SetVersion changes the version for the packets to come. A server calls it
// when a CONNECT has told what the client speaks.
func (r *Reader) SetVersion(v Version) { r.version = v }

// Ready reports whether ReadPacket returns at once, without the stream: the next
// packet is all there, or is an error.
func (r *Reader) Ready() bool {
	b := r.buf[r.pos:]
	h, n, err := ParseHeader(b)
	return err != nil || r.err != nil || n > 0 && len(b)-n >= h.Remaining
}

// ReadPacket returns the next packet, which is valid until the next call. At the
// end of the stream the error is io.EOF, or io.ErrUnexpectedEOF within a packet.
// An error is final. A packet over the limit is refused by its header, with the
// reason PacketTooLarge; memory grows with the bytes that arrive, not with the
// length a peer announces.
func (r *Reader) ReadPacket() (Packet, error) {
	if r.pos == len(r.buf) {
		r.pos = 0
		if r.buf = r.buf[:0]; cap(r.buf) > readKept {
			r.buf = nil
		}
	}
	for {
		p, err := r.next()
		if err != nil {
			r.buf, r.pos, r.err = nil, 0, err
			return nil, err
		}
		if p != nil {
			return p, nil
		}
		if r.err != nil {
			if r.err == io.EOF && r.pos < len(r.buf) {
				r.err = io.ErrUnexpectedEOF
			}
			return nil, r.err
		}
		r.fill()
	}
}

// next decodes the packet at the start of the buffer, if it is all there.
func (r *Reader) next() (Packet, error) {
	b := r.buf[r.pos:]
	h, n, err := ParseHeader(b)
	if err != nil || n == 0 {
		return nil, err
	}
	if size := n + h.Remaining; size > r.maxSize {
		return nil, &Error{Code: PacketTooLarge, Err: fmt.Errorf("%v of %d bytes", h.Type, size)}
	}
	if len(b)-n < h.Remaining {
		return nil, nil
	}
	p := r.packets[h.Type]
	if p == nil {
		p = New(h.Type)
		r.packets[h.Type] = p
	}
	r.pos += n + h.Remaining
	return p, p.Decode(r.version, h.Flags, b[n:n+h.Remaining])
}

// fill reads once, into the room behind the bytes at hand.
func (r *Reader) fill() {
	if len(r.buf) == cap(r.buf) {
		have := len(r.buf) - r.pos
		to := r.buf[:0]
		if have > cap(r.buf)/2 || cap(r.buf) == 0 {
			to = make([]byte, 0, max(readMin, 2*have))
		}
		r.buf, r.pos = append(to, r.buf[r.pos:]...), 0
	}
	const tries = 100 // like bufio: a source that never gives anything is broken
	for range tries {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		r.err = err
		if n > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}
