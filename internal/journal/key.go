package journal

import "encoding/binary"

// A key begins with its table; numbers are big-endian so that they sort. The tables
// are part of the format.
const (
	tableSession      = 's' // sid
	tableSubscription = 'u' // sid filter
	tableAccepted     = 'x' // sid packetID
	tableWill         = 'w' // sid
	tableRetained     = 'r' // topic
	tableQueue        = 'q' // sid mid
	tableSide         = 'o' // sid mid: packet identifier of a waiting message
	tableBody         = 'b' // mid: a message that several sessions wait for, or a large one
	tableMeta         = 'm' // name
)

// bySession are the tables whose keys begin with a session. A capital letter is the
// same table while Rename moves it.
var bySession = [...]byte{tableSession, tableSubscription, tableAccepted, tableWill, tableQueue, tableSide}

const (
	metaVersion = "version" // of the format, one byte
	metaMID     = "mid"     // highest message number ever stored
	metaRename  = "rename"  // a Rename that is not finished
)

func sidKey(dst []byte, table byte, sid uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst[:0], table), sid)
}

func nameKey(dst []byte, table byte, sid uint64, name string) []byte {
	return append(sidKey(dst, table, sid), name...)
}

func idKey(dst []byte, sid uint64, id uint16) []byte {
	return binary.BigEndian.AppendUint16(sidKey(dst, tableAccepted, sid), id)
}

func midKey(dst []byte, table byte, sid, mid uint64) []byte {
	return binary.BigEndian.AppendUint64(sidKey(dst, table, sid), mid)
}

func bodyKey(dst []byte, mid uint64) []byte { return sidKey(dst, tableBody, mid) }

func textKey(dst []byte, table byte, text string) []byte {
	return append(append(dst[:0], table), text...)
}

// endOf is the first key after all that begin with prefix, whose bytes are not all 0xFF.
func endOf(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
}

// sidOf reads the session of a key in one of bySession; ok is false for a key that is
// too short or, for fixed, not of that many bytes after the session.
func sidOf(key []byte, fixed int) (sid uint64, rest []byte, ok bool) {
	if len(key) < 9 || fixed >= 0 && len(key) != 9+fixed {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(key[1:9]), key[9:], true
}
