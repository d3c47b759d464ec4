package topic

// Match reports whether filter matches name. A filter that starts with a
// wildcard matches no name that starts with $ [MQTT-4.7.2-1], and a/# matches a
// as well (§4.7.1.2). A shared filter must be split first: see SplitShare.
//
// It looks at each byte at most once, whatever the number of wildcards.
func Match[F, N ~string | ~[]byte](filter F, name N) bool {
	if len(filter) == 0 || len(name) == 0 {
		return false
	}
	if name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	f, n := 0, 0
	for { // one level each time round; f and n are where it begins
		switch {
		case f < len(filter) && filter[f] == '#':
			return true
		case f < len(filter) && filter[f] == '+':
			f++
			for n < len(name) && name[n] != '/' {
				n++
			}
		default:
			for f < len(filter) && n < len(name) && filter[f] == name[n] && name[n] != '/' {
				f, n = f+1, n+1
			}
		}
		switch {
		case n == len(name):
			return f == len(filter) || f+2 == len(filter) && filter[f] == '/' && filter[f+1] == '#'
		case f == len(filter) || filter[f] != '/' || name[n] != '/':
			return false
		}
		f, n = f+1, n+1
	}
}

// SplitShare splits the shared filter $share/name/rest into name and rest. Of
// any other filter it returns an empty share and the filter itself.
func SplitShare(filter string) (share, rest string) {
	n, ok := shareLen(filter)
	if n == 0 || !ok {
		return "", filter
	}
	return filter[len(sharePrefix) : n-1], filter[n:]
}

// Levels returns the number of levels of a name or filter, which is one more
// than it has slashes, and 0 if it is empty.
func Levels[S ~string | ~[]byte](s S) int {
	if len(s) == 0 {
		return 0
	}
	n := 1
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			n++
		}
	}
	return n
}

// HasWildcard reports whether a valid filter, shared or not, can match more
// than one name.
func HasWildcard[S ~string | ~[]byte](filter S) bool {
	for i := 0; i < len(filter); i++ {
		if filter[i] == '+' || filter[i] == '#' {
			return true
		}
	}
	return false
}
