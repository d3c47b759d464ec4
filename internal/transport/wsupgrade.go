package transport

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

const (
	headEnd = "\r\n\r\n"

	// acceptGUID goes into Sec-WebSocket-Accept (RFC 6455 §1.3).
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	keyBytes   = 16
)

// upgrade is the HTTP part of a WebSocket: one request, one answer.
type upgrade struct {
	options  WebSocketOptions
	buf      []byte // the request as far as it has come
	plain    []byte // given to Out meanwhile
	response []byte // complete, or empty
	accepted bool
	request  *request // set with accepted
}

// request is what is worth keeping of the HTTP request.
type request struct {
	path, subprotocol, host, origin, forwardedFor string
}

// refusal is the answer to a request we do not take.
type refusal struct {
	status int
	text   string // for the person who reads it
	header string // one more header line, may be empty
}

func (r *refusal) Error() string {
	return fmt.Sprintf("websocket: request refused with status %d: %s", r.status, r.text)
}

// foreignError ends a connection without an answer: the peer speaks another
// protocol and would not understand ours.
type foreignError string

func (e foreignError) Error() string { return "websocket: " + string(e) }

// receive takes more of the request. Once it is complete the answer is in
// response. frames is what came behind an accepted request; it may share memory
// with src.
func (u *upgrade) receive(src []byte) (frames []byte, err error) {
	if len(src) == 0 {
		return nil, nil
	}
	data, searched := src, 0
	if len(u.buf) == 0 {
		if err := checkFirstByte(src[0]); err != nil {
			return nil, err
		}
	} else {
		searched = max(0, len(u.buf)-len(headEnd)+1)
		u.buf = append(u.buf, src...)
		data = u.buf
	}
	end := bytes.Index(data[searched:], []byte(headEnd))
	size := searched + end + len(headEnd)
	limit := u.options.MaxHandshakeBytes
	switch {
	case end < 0 && len(data) <= limit:
		if len(u.buf) == 0 {
			u.buf = bytes.Clone(data)
		}
		return nil, nil
	case end < 0 || size > limit:
		err = &refusal{status: http.StatusRequestHeaderFieldsTooLarge, text: fmt.Sprintf("The request is longer than %d bytes.", limit)}
	default:
		err = u.decide(data[:size])
	}
	u.buf = nil
	if r, ok := err.(*refusal); ok {
		u.response = r.appendResponse(nil)
	}
	if err != nil {
		u.plain = nil
		return nil, err
	}
	return data[size:], nil
}

func checkFirstByte(b byte) error {
	switch {
	case 'A' <= b && b <= 'Z':
		return nil
	case b == 0x10:
		return foreignError("the peer speaks MQTT without WebSocket")
	case b == 0x16:
		return foreignError("the peer speaks TLS, this listener does not")
	}
	return foreignError("the peer does not speak HTTP")
}

// decide reads the request and accepts it, or returns the refusal.
func (u *upgrade) decide(head []byte) error {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return &refusal{status: http.StatusBadRequest, text: "The HTTP request cannot be understood."}
	}
	if err := u.checkRequest(req); err != nil {
		return err
	}
	subprotocol := chooseSubprotocol(req.Header)
	if subprotocol == "" && !u.options.AllowNoSubprotocol {
		return &refusal{status: http.StatusBadRequest, text: "The WebSocket subprotocol mqtt is needed: send Sec-WebSocket-Protocol: mqtt."}
	}
	u.accepted = true
	u.request = &request{
		path:         u.options.Path,
		subprotocol:  subprotocol,
		host:         req.Host,
		origin:       req.Header.Get("Origin"),
		forwardedFor: strings.Join(req.Header.Values("X-Forwarded-For"), ", "),
	}
	u.response = appendSwitching(nil, req.Header.Get("Sec-WebSocket-Key"), subprotocol)
	return nil
}

// checkRequest asks in an order in which the first answer helps most: a browser
// is told what lives here, whatever its path.
func (u *upgrade) checkRequest(req *http.Request) error {
	o := &u.options
	header := req.Header
	key, keyErr := base64.StdEncoding.DecodeString(header.Get("Sec-WebSocket-Key"))
	switch {
	case req.Method != http.MethodGet:
		return &refusal{http.StatusMethodNotAllowed, "A WebSocket begins with GET.", "Allow: GET"}
	case !hasToken(header, "Upgrade", "websocket") || !hasToken(header, "Connection", "upgrade"):
		return &refusal{http.StatusUpgradeRequired, "This is the WebSocket port of an MQTT broker, not a web page. Connect to " + o.Path + " with an MQTT client.", "Upgrade: websocket"}
	case req.ProtoMajor != 1 || req.ProtoMinor != 1:
		return &refusal{status: http.StatusHTTPVersionNotSupported, text: "A WebSocket needs HTTP/1.1; a proxy in between may have to be told."}
	case req.URL.Path != o.Path:
		return &refusal{status: http.StatusNotFound, text: "Nothing here, MQTT is at " + o.Path + "."}
	case header.Get("Sec-WebSocket-Version") != "13":
		return &refusal{http.StatusUpgradeRequired, "Version 13 of WebSocket is needed.", "Sec-WebSocket-Version: 13"}
	case keyErr != nil || len(key) != keyBytes || len(header.Values("Sec-WebSocket-Key")) != 1:
		return &refusal{status: http.StatusBadRequest, text: "Sec-WebSocket-Key must be 16 bytes in base64."}
	case req.ContentLength != 0 || len(req.TransferEncoding) > 0:
		return &refusal{status: http.StatusBadRequest, text: "A request for a WebSocket has no body."}
	case !originAllowed(header.Values("Origin"), o.Origins):
		return &refusal{status: http.StatusForbidden, text: fmt.Sprintf("Pages from %q may not connect here.", header.Get("Origin"))}
	}
	return nil
}

// hasToken finds a token in a list that may span several header lines.
func hasToken(header http.Header, name, token string) bool {
	return slices.ContainsFunc(listOf(header, name), func(s string) bool { return strings.EqualFold(s, token) })
}

func listOf(header http.Header, name string) []string {
	list := strings.Split(strings.Join(header.Values(name), ","), ",")
	for i, s := range list {
		list[i] = strings.Trim(s, " \t")
	}
	return list
}

// chooseSubprotocol takes the first name of MQTT that the client offers
// [MQTT-6.0.0-4]; "mqttv3.1" is what clients of MQTT 3.1 say.
func chooseSubprotocol(header http.Header) string {
	for _, s := range listOf(header, "Sec-WebSocket-Protocol") {
		if s == "mqtt" || s == "mqttv3.1" {
			return s
		}
	}
	return ""
}

func originAllowed(origins, patterns []string) bool {
	if len(patterns) == 0 || len(origins) == 0 {
		return true
	}
	origin, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 {
		return false
	}
	host := strings.ToLower(origin.Host)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		subject := host
		if strings.Contains(pattern, "://") {
			subject = origin.Scheme + "://" + host
		}
		ok, err := path.Match(strings.ToLower(pattern), subject)
		return ok && err == nil
	})
}

func appendSwitching(b []byte, key, subprotocol string) []byte {
	sum := sha1.Sum([]byte(key + acceptGUID)) // not for security, RFC 6455 §1.3
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	if subprotocol != "" {
		b = append(b, "\r\nSec-WebSocket-Protocol: "+subprotocol...)
	}
	return append(b, headEnd...)
}

func (r *refusal) appendResponse(b []byte) []byte {
	b = fmt.Appendf(b, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n",
		r.status, http.StatusText(r.status), len(r.text)+1)
	if r.header != "" {
		b = append(b, r.header+"\r\n"...)
	}
	return append(b, "\r\n"+r.text+"\n"...)
}
