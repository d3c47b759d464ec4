package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/session"
)

// recorder is a writer that notes what it is given, and the stored that reads it.
type recorder struct {
	log     []string
	records map[string][]byte
}

func (r *recorder) set(k, v []byte) {
	r.log = append(r.log, fmt.Sprintf("set %q %q", k, v))
	r.records[string(k)] = append([]byte(nil), v...)
}

func (r *recorder) delete(k []byte) {
	r.log = append(r.log, fmt.Sprintf("delete %q", k))
	delete(r.records, string(k))
}

func (r *recorder) deleteOnce(k []byte) {
	r.log = append(r.log, fmt.Sprintf("delete once %q", k))
	delete(r.records, string(k))
}

func (r *recorder) deleteRange(from, to []byte) {
	r.log = append(r.log, fmt.Sprintf("delete %q to %q", from, to))
	maps.DeleteFunc(r.records, func(k string, _ []byte) bool { return k >= string(from) && k < string(to) })
}

func (r *recorder) get(key []byte, fn func([]byte) error) (bool, error) {
	v, ok := r.records[string(key)]
	if !ok {
		return false, nil
	}
	return true, fn(v)
}

func (r *recorder) scan(from, to []byte, fn func(k, v []byte) (bool, error)) error {
	for k, v := range r.records {
		if k >= string(from) && k < string(to) {
			if more, err := fn([]byte(k), v); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// The bytes are the format: a change here makes data unreadable for another version.
func TestEachOperationWritesTheseBytes(t *testing.T) {
	msg := &session.Message{Topic: "t", Payload: []byte("pay"), Props: []byte("pr"), Expires: 100, QoS: 2, Retain: true}
	large := &session.Message{Topic: "t", Payload: bytes.Repeat([]byte("x"), 1024)}
	const sid = `\x00\x00\x00\x00\x00\x00\x00\a`
	const mid = `\x00\x00\x00\x00\x00\x00\x01\x00`
	for name, tt := range map[string]struct {
		op   Op
		want []string
	}{
		"PutSession":      {Op{Kind: PutSession, SID: 7, Name: "me", Expiry: 300, At: -1}, []string{`set "s` + sid + `" "\x01\xac\x02\x01\x02me"`}},
		"PutSubscription": {Op{Kind: PutSubscription, SID: 7, Name: "a/#", Options: 21, SubID: 9}, []string{`set "u` + sid + `a/#" "\x01\x15\t"`}},
		"EndSubscription": {Op{Kind: EndSubscription, SID: 7, Name: "a/#"}, []string{`delete "u` + sid + `a/#"`}},
		"Accept":          {Op{Kind: Accept, SID: 7, ID: 258}, []string{`set "x` + sid + `\x01\x02" "\x01"`}},
		"Forget":          {Op{Kind: Forget, SID: 7, ID: 258}, []string{`delete "x` + sid + `\x01\x02"`}},
		"Assign":          {Op{Kind: Assign, SID: 7, MID: 256, ID: 258}, []string{`set "o` + sid + mid + `" "\x01\x00\x01\x02"`}},
		"Owe":             {Op{Kind: Owe, SID: 7, MID: 256, ID: 258}, []string{`set "o` + sid + mid + `" "\x01\x01\x01\x02"`}},
		"Complete":        {Op{Kind: Complete, SID: 7, MID: 256}, []string{`delete once "q` + sid + mid + `"`}},
		"PutRetained":     {Op{Kind: PutRetained, Msg: msg}, []string{`set "rt" "\x01\x0e\xc8\x01\x02prpay"`}},
		"EndRetained":     {Op{Kind: EndRetained, Name: "t"}, []string{`delete "rt"`}},
		"PutWill":         {Op{Kind: PutWill, SID: 7, Msg: msg, Expiry: 5, At: 3, WillExpiry: 8, HasWillExpiry: true}, []string{`set "w` + sid + `" "\x01\x01\x05\x06\b\x0e\xc8\x01\x01t\x02prpay"`}},
		"EndWill":         {Op{Kind: EndWill, SID: 7}, []string{`delete "w` + sid + `"`}},
		"EndSession":      {Op{Kind: EndSession, SID: 7}, []string{`delete "s` + sid + `"`, `delete "w` + sid + `"`}},
		"Publish to one": {Op{Kind: Publish, MID: 256, Msg: msg, Targets: []Target{{SID: 7, QoS: 1, Retain: true, SubID: 4}}}, []string{
			`set "q` + sid + mid + `" "\x01\x1d\x04\x0e\xc8\x01\x01t\x02prpay"`, `set "mmid" "\x01` + mid + `"`}},
		"Publish to two": {Op{Kind: Publish, MID: 256, Msg: msg, Targets: []Target{{SID: 7, QoS: 2, SubIDs: []uint32{4, 5}}, {SID: 8, Share: "g", Filter: "+"}}}, []string{
			`set "b` + mid + `" "\x01\x0e\xc8\x01\x01t\x02prpay"`,
			`set "q` + sid + mid + `" "\x01\"\x02\x04\x05\x06\xc8\x01"`,
			`set "q` + strings.Replace(sid, `\a`, `\b`, 1) + mid + `" "\x01@\x01g\x01+\x06\xc8\x01\x01t"`, `set "mmid" "\x01` + mid + `"`}},
		"Publish a large one": {Op{Kind: Publish, MID: 256, Msg: large, Targets: []Target{{SID: 7}}}, []string{
			`set "b` + mid + `" "\x01\x00\x01t\x00` + string(large.Payload) + `"`, `set "q` + sid + mid + `" "\x01\x00\x81\b\x00"`, `set "mmid" "\x01` + mid + `"`}},
		"Publish to none": {Op{Kind: Publish, MID: 256, Msg: msg}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{records: map[string][]byte{}}
			if err := newEncoder(r).encode([]submission{{ops: []Op{tt.op}}}, r); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(r.log, tt.want) {
				t.Errorf("wrote\n%s\nwant\n%s", strings.Join(r.log, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestAnOperationThatMakesNoSenseIsAnError(t *testing.T) {
	for _, op := range []Op{{}, {Kind: 15}, {Kind: Publish, Targets: []Target{{}}}, {Kind: PutWill}, {Kind: PutRetained}} {
		r := &recorder{records: map[string][]byte{}}
		if err := newEncoder(r).encode([]submission{{ops: []Op{op}}}, r); err == nil {
			t.Errorf("%+v was accepted", op)
		}
	}
}

// decodeAny reads value as what stands in table, and writes it again.
func decodeAny(table byte, value []byte) (again []byte, err error) {
	switch table {
	case tableSession:
		op := Op{}
		op.Name, op.Expiry, op.At, err = decodeSession(value)
		again = appendSession(nil, &op)
	case tableSubscription:
		op := Op{}
		op.Options, op.SubID, err = decodeSubscription(value)
		again = appendSubscription(nil, &op)
	case tableAccepted:
		again, err = []byte{recordVersion}, decodeAccepted(value)
	case tableWill:
		var w Will
		if w, err = decodeWill(value); err == nil {
			again = appendWill(nil, &Op{Msg: w.Msg, Expiry: w.Delay, At: w.Due, WillExpiry: w.Expiry, HasWillExpiry: w.HasExpiry})
		}
	case tableRetained:
		var m *session.Message
		if m, err = decodeRetained("t", value); err == nil {
			again = appendBody(nil, m, false)
		}
	case tableBody:
		var m *session.Message
		if m, err = decodeBody(value); err == nil {
			again = appendBody(nil, m, true)
		}
	case tableSide:
		id, owed, e := decodeSide(value)
		again, err = appendSide(nil, id, owed), e
	case tableMeta:
		n, e := decodeNumber(value)
		again, err = appendNumber(nil, n), e
	default:
		again, err = decodeAnyQueue(value)
	}
	return again, err
}

func decodeAnyQueue(value []byte) ([]byte, error) {
	w, inline, err := decodeWaiting(value)
	m, inlineErr := decodeInline(value)
	if (inlineErr == nil) != (err == nil && inline) {
		return nil, fmt.Errorf("as inline %w, else %w", inlineErr, err)
	}
	if err != nil {
		return nil, err
	}
	if !inline { // its size must come out the same
		m = &session.Message{Topic: w.Topic, Expires: w.Expires}
		m.Payload = make([]byte, max(0, min(w.Size-len(m.Topic), 1<<20)))
	}
	return appendQueue(nil, &Target{SubIDs: w.SubIDs, Share: w.Share, Filter: w.Filter, SubID: w.SubID, QoS: w.QoS, Retain: w.Retain}, m, inline), nil
}

func TestARecordOfALaterVersionIsRefused(t *testing.T) {
	for _, table := range []byte("suxwrqbom") {
		for _, value := range [][]byte{{recordVersion + 1, 0, 0, 0}, {recordVersion + 1}} {
			if _, err := decodeAny(table, value); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "written by a newer wirebird") {
				t.Errorf("table %q: %v", table, err)
			}
		}
		for _, value := range [][]byte{{}, {0}, {recordVersion, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}} {
			if _, err := decodeAny(table, value); err == nil {
				t.Errorf("table %q: %X was accepted", table, value)
			}
		}
	}
}

// FuzzDecode: whatever the bytes, decoding ends; and what decodes is written again so
// that it decodes to the same.
func FuzzDecode(f *testing.F) {
	r := &recorder{records: map[string][]byte{}}
	var ops []Op
	for sid := range uint64(3) {
		ops = append(ops, sessionOps(sid)...)
	}
	msg := &session.Message{Topic: "a/b", Payload: []byte("p"), Props: []byte("x"), Expires: 1 << 60}
	ops = append(ops, Op{Kind: Publish, MID: 9, Msg: msg, Targets: []Target{{SID: 1, SubIDs: []uint32{1, 300}}, {SID: 2, SubID: 5, Share: "s", Filter: "a/+"}}})
	if err := newEncoder(r).encode([]submission{{ops: ops}}, r); err != nil {
		f.Fatal(err)
	}
	for k, v := range r.records {
		f.Add(k[0], v)
	}
	f.Fuzz(func(t *testing.T, table byte, value []byte) {
		once, err := decodeAny(table, value)
		if err != nil {
			return
		}
		if len(once) > len(value) && len(once) > 1<<10 {
			t.Fatalf("%X grew to %d bytes", value, len(once))
		}
		twice, err := decodeAny(table, once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q: %X, then %X, then %X, %v", table, value, once, twice, err)
		}
	})
}
