package session

// ring is a queue of entries that grows as needed and lets go of a large buffer when empty.
type ring struct {
	buf  []Entry // its length is a power of two
	head int
	n    int
}

const ringKeeps = 64 // entries of an empty ring's buffer

func (r *ring) at(i int) *Entry { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring) push(e Entry) {
	r.room()
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = e
	r.n++
}

func (r *ring) pushFront(e Entry) {
	r.room()
	r.head = (r.head - 1) & (len(r.buf) - 1)
	r.buf[r.head] = e
	r.n++
}

// room makes room for one entry more.
func (r *ring) room() {
	if r.n < len(r.buf) {
		return
	}
	bigger := make([]Entry, max(4, 2*len(r.buf)))
	for i := range r.n {
		bigger[i] = *r.at(i)
	}
	r.buf, r.head = bigger, 0
}

func (r *ring) pop() Entry {
	p := &r.buf[r.head]
	e := *p
	*p = Entry{}
	r.head = (r.head + 1) & (len(r.buf) - 1)
	if r.n--; r.n == 0 && len(r.buf) > ringKeeps {
		r.buf, r.head = nil, 0
	}
	return e
}
