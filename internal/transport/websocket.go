package transport

import (
	"encoding/binary"
	"io"
)

// WebSocketOptions says who may open a WebSocket and how.
type WebSocketOptions struct {
	// Path is the only one served. Empty means DefaultPath.
	Path string

	// Origins are the web pages that may connect, matched with path.Match
	// against the host (and port, if any) of the Origin header, such as
	// "*.example.com"; a pattern with a scheme, such as "https://*", is matched
	// against the whole origin. Empty means any. A request without the header
	// is not from a browser and always allowed.
	Origins []string

	// AllowNoSubprotocol admits a client that offers no subprotocol of MQTT.
	// The standard forbids it [MQTT-6.0.0-3]; hand-made clients do it.
	AllowNoSubprotocol bool

	// MaxHandshakeBytes bounds the HTTP request. 0 means 8 KiB. A longer one is
	// refused with 431.
	MaxHandshakeBytes int

	// MaxFrameBytes bounds the payload a frame announces, though frames are
	// never held. 0 means 256 MiB and 16 bytes, the longest MQTT packet. A
	// larger one ends the connection with close code 1009.
	MaxFrameBytes int64
}

const (
	defaultMaxHandshakeBytes = 8 << 10
	defaultMaxFrameBytes     = 256<<20 + 16

	// maxSentFrame is the payload of one frame we send. Some clients keep the
	// length in an int32.
	maxSentFrame = 1<<31 - 1
)

// NewWebSocket returns the server's end of a WebSocket, from the HTTP request
// on [MQTT-6.0.0-1] to [MQTT-6.0.0-4]. Packets need not fit frames: what is in
// the frames is one stream.
func NewWebSocket(o WebSocketOptions) Filter {
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.MaxHandshakeBytes == 0 {
		o.MaxHandshakeBytes = defaultMaxHandshakeBytes
	}
	if o.MaxFrameBytes == 0 {
		o.MaxFrameBytes = defaultMaxFrameBytes
	}
	return &webSocket{upgrade: &upgrade{options: o}, maxFrame: uint64(o.MaxFrameBytes)}
}

// webSocket is kept small, there is one for each idle connection.
type webSocket struct {
	upgrade *upgrade // nil once its answer has been handed out
	control *control // nil while no control frame is under way
	request *request // nil until the upgrade is accepted

	maxFrame  uint64
	remaining uint64 // bytes of the current frame still to come
	mask      uint32 // turned to fit the next of them

	header    [maxFrameHeader]byte // start of a header that is not complete yet
	headerLen uint8
	opcode    uint8 // of the current frame, if a control frame; 0 for data

	fragmented bool // a message has begun and its last frame has not
	ended      bool // In has returned an error
	silent     bool // a close frame or a refusal has been handed out
}

// control is what a control frame needs until it is answered. Of several pings
// only the last is answered, as RFC 6455 §5.5.3 allows.
type control struct {
	in, pong, close   [maxControlBytes]byte
	inLen             uint8
	pongLen, closeLen uint8
	hasPong, hasClose bool
}

func (w *webSocket) In(dst, src []byte) ([]byte, error) {
	if w.ended {
		return dst, io.EOF
	}
	if u := w.upgrade; u != nil && !u.accepted {
		frames, err := u.receive(src)
		if err != nil {
			w.ended = true
			return dst, err
		}
		if !u.accepted {
			return dst, nil
		}
		w.request = u.request
		src = frames
	}
	dst, err := w.frames(dst, src)
	if err != nil {
		w.ended = true
		if frameErr, ok := err.(*frameError); ok {
			w.sayClose(frameErr.code)
		}
	}
	return dst, err
}

// frames appends what is in the data frames and acts on the others.
func (w *webSocket) frames(dst, src []byte) ([]byte, error) {
	for len(src) > 0 {
		if w.remaining > 0 {
			n := int(min(w.remaining, uint64(len(src))))
			if w.opcode == 0 {
				dst, w.mask = appendUnmasked(dst, src[:n], w.mask)
			} else {
				w.gather(src[:n])
			}
			w.remaining -= uint64(n)
			src = src[n:]
		} else {
			n, complete, err := w.begin(src)
			if err != nil {
				return dst, err
			}
			src = src[n:]
			if !complete {
				continue
			}
		}
		if w.remaining == 0 && w.opcode != 0 {
			if err := w.actOnControl(); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// begin reads a frame's header, or more of one, from the start of src.
func (w *webSocket) begin(src []byte) (used int, complete bool, err error) {
	have := src
	kept := int(w.headerLen)
	if kept > 0 {
		used = copy(w.header[kept:], src)
		have = w.header[:kept+used]
	}
	h, size, err := parseFrameHeader(have)
	if err != nil {
		return 0, false, err
	}
	if size == 0 {
		if kept == 0 {
			used = copy(w.header[:], src)
		}
		w.headerLen = uint8(kept + used)
		return used, false, nil
	}
	w.headerLen = 0
	if err := w.accept(h); err != nil {
		return 0, false, err
	}
	w.remaining, w.mask = h.length, h.mask
	return size - kept, true, nil
}

// accept decides whether a frame may come now.
func (w *webSocket) accept(h frameHeader) error {
	if h.control() {
		w.opcode = h.opcode
		if w.control == nil {
			w.control = new(control)
		}
		w.control.inLen = 0
		return nil
	}
	w.opcode = 0
	switch {
	case h.opcode == opText: // [MQTT-6.0.0-1]
		return &frameError{closeUnsupported, "text frame, MQTT needs binary ones"}
	case h.opcode == opContinuation && !w.fragmented:
		return &frameError{closeProtocol, "continuation of nothing"}
	case h.opcode == opBinary && w.fragmented:
		return &frameError{closeProtocol, "new message inside a fragmented one"}
	case h.length > w.maxFrame:
		return &frameError{closeTooBig, "frame too large"}
	}
	w.fragmented = !h.final
	return nil
}

// gather keeps a piece of a control frame's payload.
func (w *webSocket) gather(src []byte) {
	c := w.control
	in := c.in[:c.inLen]
	in, w.mask = appendUnmasked(in, src, w.mask)
	c.inLen = uint8(len(in))
}

// actOnControl answers the control frame that is complete now.
func (w *webSocket) actOnControl() error {
	c := w.control
	in := c.in[:c.inLen]
	opcode := w.opcode
	w.opcode = 0
	switch opcode {
	case opPing:
		c.pongLen, c.hasPong = uint8(copy(c.pong[:], in)), true
	case opClose:
		if err := checkClosePayload(in); err != nil {
			return err
		}
		c.closeLen, c.hasClose = uint8(copy(c.close[:], in[:min(2, len(in))])), true
		return io.EOF
	case opPong:
		if !c.hasPong {
			w.control = nil
		}
	}
	return nil
}

// sayClose prepares a close frame, unless one is prepared already.
func (w *webSocket) sayClose(code int) {
	if w.control == nil {
		w.control = new(control)
	}
	if c := w.control; !c.hasClose {
		binary.BigEndian.PutUint16(c.close[:], uint16(code))
		c.closeLen, c.hasClose = 2, true
	}
}

func (w *webSocket) Out(wire, src []byte) []byte {
	if w.silent {
		return wire
	}
	if w.upgrade != nil {
		if !w.upgrade.accepted {
			w.upgrade.plain = append(w.upgrade.plain, src...)
			return wire
		}
		wire = w.answer(wire)
	}
	for len(src) > 0 {
		n := min(len(src), maxSentFrame)
		wire = appendFrameHeader(wire, opBinary, n)
		wire = append(wire, src[:n]...)
		src = src[n:]
	}
	return wire
}

func (w *webSocket) Reply(wire []byte) []byte {
	if w.silent {
		return wire
	}
	if w.upgrade != nil {
		wire = w.answer(wire)
	}
	c := w.control
	if c == nil {
		return wire
	}
	if c.hasPong {
		wire = append(appendFrameHeader(wire, opPong, int(c.pongLen)), c.pong[:c.pongLen]...)
		c.hasPong = false
	}
	if c.hasClose {
		wire = append(appendFrameHeader(wire, opClose, int(c.closeLen)), c.close[:c.closeLen]...)
		w.silent = true
	}
	if w.opcode == 0 { // else the rest of a control frame is to come
		w.control = nil
	}
	return wire
}

// answer hands out the answer to the request, once there is one, and what Out
// was given before.
func (w *webSocket) answer(wire []byte) []byte {
	u := w.upgrade
	if len(u.response) == 0 {
		return wire
	}
	wire = append(wire, u.response...)
	w.upgrade = nil
	if !u.accepted {
		w.silent = true
		return wire
	}
	return w.Out(wire, u.plain)
}

func (w *webSocket) Close(wire []byte) []byte {
	if w.upgrade == nil || w.upgrade.accepted {
		w.sayClose(closeNormal)
	}
	wire = w.Reply(wire)
	w.silent = true
	return wire
}

// Release has nothing to give back: buffers are with the garbage collector.
func (w *webSocket) Release() {}

func (w *webSocket) Describe(p *Peer) {
	if r := w.request; r != nil {
		p.WebSocket = true
		p.Path, p.Subprotocol = r.path, r.subprotocol
		p.Host, p.Origin, p.ForwardedFor = r.host, r.origin, r.forwardedFor
	}
}
