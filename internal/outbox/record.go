package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file is magic and then records: length of the body (4 bytes), CRC-32C of the
// body (4), body. A body is kind (1), Seq (8) and for an entry the time in unix
// nanoseconds (8) and the data. Numbers are big endian.
const (
	magic      = "WBOUTBX1"
	headerSize = 8
	kindEntry  = 1
	kindDone   = 2
	suffix     = ".outbox"
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once, by crc32

// segmentName sorts in the order of writing.
func segmentName(first uint64, n int) string { return fmt.Sprintf("%020d-%06d%s", first, n, suffix) }

func appendEntry(dst []byte, seq uint64, at time.Time, data []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	dst = append(dst, kindEntry)
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = binary.BigEndian.AppendUint64(dst, uint64(at.UnixNano()))
	dst = append(dst, data...)
	return seal(dst, start)
}

func appendDone(dst []byte, seq uint64) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	dst = append(dst, kindDone)
	dst = binary.BigEndian.AppendUint64(dst, seq)
	return seal(dst, start)
}

// seal fills in the header of the record that begins at start.
func seal(dst []byte, start int) []byte {
	body := dst[start+headerSize:]
	binary.BigEndian.PutUint32(dst[start:], uint32(len(body)))
	binary.BigEndian.PutUint32(dst[start+4:], crc32.Checksum(body, castagnoli()))
	return dst
}

// record is one record read back.
type record struct {
	kind byte
	Entry
}

// parse reads the record at the start of b and returns its length; ok is false
// when it is not whole.
func parse(b []byte) (r record, n int, ok bool) {
	if len(b) < headerSize {
		return r, 0, false
	}
	size := binary.BigEndian.Uint32(b)
	if uint64(size) > uint64(len(b)-headerSize) || size < 9 {
		return r, 0, false
	}
	body := b[headerSize : headerSize+int(size)]
	if crc32.Checksum(body, castagnoli()) != binary.BigEndian.Uint32(b[4:]) {
		return r, 0, false
	}
	r.kind, r.Seq = body[0], binary.BigEndian.Uint64(body[1:])
	switch {
	case r.kind == kindEntry && size >= 17:
		r.Time = time.Unix(0, int64(binary.BigEndian.Uint64(body[9:])))
		r.Data = slices.Clone(body[17:])
	case r.kind != kindDone:
		return r, 0, false
	}
	return r, headerSize + int(size), true
}

// recover reads all files.
func (b *Outbox) recover() (Recovered, error) {
	var r Recovered
	names, err := os.ReadDir(b.dir)
	if err != nil {
		return r, err
	}
	var paths []string
	for _, e := range names {
		if strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(b.dir, e.Name()))
		}
	}
	entries := make(map[uint64]Entry)
	for i, path := range paths { // ReadDir sorts
		content, err := os.ReadFile(path)
		if err != nil {
			return r, err
		}
		damaged, tail := b.read(content, path, entries)
		r.Damaged += damaged
		switch {
		case tail == 0:
		case i < len(paths)-1:
			r.Damaged += tail
		default: // cut off, or it would be damage once there is a newer file
			r.Torn = tail
			if err := os.Truncate(path, int64(len(content))-tail); err != nil {
				return r, err
			}
		}
	}
	for _, e := range entries {
		r.Entries = append(r.Entries, e)
		b.live[e.Seq] = len(e.Data)
		b.bytes += int64(len(e.Data))
	}
	slices.SortFunc(r.Entries, func(a, b Entry) int {
		if a.Seq < b.Seq {
			return -1
		}
		return 1
	})
	b.count(r.Entries)
	b.next = max(b.next, 1)
	b.durable = b.next - 1
	return r, b.removeEmpty()
}

// read applies the records of one file. It returns how many bytes before the
// last whole record, and how many after it, make no sense.
func (b *Outbox) read(content []byte, path string, entries map[uint64]Entry) (damaged, tail int64) {
	b.segments = append(b.segments, segment{path: path, first: max(b.next, 1)})
	if len(content) < len(magic) {
		return 0, int64(len(content))
	}
	if string(content[:len(magic)]) != magic {
		damaged = int64(len(magic))
	}
	for data := content[len(magic):]; len(data) > 0; {
		rec, n, ok := parse(data)
		if !ok {
			skip := resume(data)
			if skip == len(data) {
				return damaged, int64(skip)
			}
			damaged += int64(skip)
			data = data[skip:]
			continue
		}
		data = data[n:]
		if rec.kind == kindDone {
			delete(entries, rec.Seq)
		} else {
			entries[rec.Seq] = rec.Entry
		}
		b.next = max(b.next, rec.Seq+1)
	}
	return damaged, 0
}

// resume returns where the next whole record begins after the one at the start
// of b, which is not whole; len(b) if there is none. Where the damaged one says
// that it ends is tried first: its data might look like a record.
func resume(b []byte) int {
	if len(b) > headerSize {
		end := headerSize + uint64(binary.BigEndian.Uint32(b))
		if end < uint64(len(b)) {
			if _, _, ok := parse(b[end:]); ok {
				return int(end)
			}
		}
	}
	for at := 1; at < len(b); at++ {
		if _, _, ok := parse(b[at:]); ok {
			return at
		}
	}
	return len(b)
}

// count finds the segments of the entries, which are in order.
func (b *Outbox) count(entries []Entry) {
	i := 0
	for _, e := range entries {
		for i+1 < len(b.segments) && b.segments[i+1].first <= e.Seq {
			i++
		}
		b.segments[i].live++
	}
}

// removeEmpty removes the oldest files that have nothing left.
func (b *Outbox) removeEmpty() error {
	var errs []error
	for len(b.segments) > 0 && b.segments[0].live == 0 {
		errs = append(errs, os.Remove(b.segments[0].path))
		b.segments = b.segments[1:]
	}
	return errors.Join(errs...)
}
