package route

// Visits is the number of trie nodes that a search for name looks at.
func (t *Table) Visits(name string) int {
	s := t.pool.Get().(*scratch)
	defer t.pool.Put(s)
	t.mu.RLock()
	defer t.mu.RUnlock()
	t.search(name, s)
	defer s.release()
	return s.visits
}
