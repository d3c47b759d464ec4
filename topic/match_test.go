package topic_test

import (
	"strings"
	"testing"

	"github.com/wirebird/wirebird/topic"
)

func TestFiltersMatchAsTheStandardSays(t *testing.T) {
	for _, tt := range []struct {
		filter, name string
		want         bool
	}{
		// The examples of §4.7.1.2, §4.7.1.3 and §4.7.2.
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS/monitor/Clients", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/monitor/Clients", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},

		{"#", "a/b/c", true},
		{"#", "/", true},
		{"+/#", "$SYS", false},
		{"+/#", "a", true},
		{"a/+", "a/$b", true},
		{"a/#", "a/$b", true},
		{"a/#", "ab", false},
		{"a/#", "b", false},
		{"a/+/#", "a", false},
		{"a/+/#", "a/b", true},
		{"a/b", "a/b", true},
		{"a/b", "a/bc", false},
		{"a/bc", "a/b", false},
		{"a/b", "a/b/", false},
		{"a/b/", "a/b", false},
		{"a/b", "A/b", false},
		{"+/b", "a/b", true},
		{"+/b", "aa/bb", false},
		{"//", "//", true},
		{"+/+/+", "//", true},
		{"+/+", "//", false},
		{"", "a", false},
		{"a", "", false},
		{"", "", false},
	} {
		if got := topic.Match(tt.filter, tt.name); got != tt.want {
			t.Errorf("Match(%q, %q) = %v, want %v", tt.filter, tt.name, got, tt.want)
		}
		if got := topic.Match([]byte(tt.filter), tt.name); got != tt.want {
			t.Errorf("Match([]byte(%q), %q) = %v, want %v", tt.filter, tt.name, got, tt.want)
		}
	}
}

// matchLevels is Match as the standard tells it, level by level.
func matchLevels(filter, name []string) bool {
	switch {
	case len(filter) == 0:
		return len(name) == 0
	case filter[0] == "#":
		return true
	case len(name) == 0:
		return false
	case filter[0] == "+" || filter[0] == name[0]:
		return matchLevels(filter[1:], name[1:])
	}
	return false
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{
		{"a/+/#", "a/b/c/d"}, {"a/#", "a"}, {"#", "$SYS/x"}, {"+/a", "$/a"}, {"a/+", "a/"},
		{"//+", "///"}, {"a+", "a/b"}, {"#/a", "a/a"}, {"$SYS/+/ä", "$SYS/b/ä"}, {"", ""},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		got := topic.Match(filter, name) // never panics, valid or not
		if topic.CheckFilter(filter) != nil || topic.CheckName(name) != nil {
			return
		}
		want := matchLevels(strings.Split(filter, "/"), strings.Split(name, "/"))
		if name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
			want = false
		}
		if got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", filter, name, got, want)
		}
		if !topic.HasWildcard(filter) && got != (filter == name) {
			t.Errorf("Match(%q, %q) = %v without a wildcard", filter, name, got)
		}
	})
}

func TestSharedFiltersAreSplit(t *testing.T) {
	for filter, want := range map[string][2]string{
		"$share/g/a/+":        {"g", "a/+"},
		"$share/g//":          {"g", "/"},
		"$share/g/$share/h/a": {"g", "$share/h/a"},
		"a/b":                 {"", "a/b"},
		"$share":              {"", "$share"},
		"$share/g":            {"", "$share/g"},
		"$share/g/":           {"", "$share/g/"},
		"$share//a":           {"", "$share//a"},
		"$shared/g/a":         {"", "$shared/g/a"},
		"":                    {"", ""},
	} {
		if share, rest := topic.SplitShare(filter); share != want[0] || rest != want[1] {
			t.Errorf("SplitShare(%q) = %q, %q, want %q", filter, share, rest, want)
		}
	}
}

func TestLevelsAreCounted(t *testing.T) {
	for s, want := range map[string]int{"": 0, "a": 1, "/": 2, "a/b/c": 3, "a/": 2} {
		if got := topic.Levels(s); got != want {
			t.Errorf("Levels(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestWildcardsAreSeen(t *testing.T) {
	for filter, want := range map[string]bool{"a/b": false, "+": true, "a/#": true, "$share/g/a": false, "$share/g/+": true} {
		if got := topic.HasWildcard(filter); got != want {
			t.Errorf("HasWildcard(%q) = %v, want %v", filter, got, want)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !topic.Match("plant7/+/robot12/#", "plant7/line3/robot12/joint4/temperature") {
			b.Fatal("no match")
		}
	}
}
