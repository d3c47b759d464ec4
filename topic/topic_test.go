package topic_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wirebird/wirebird/topic"
)

func TestNamesAreChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want error
	}{
		"one level":          {"a", nil},
		"several levels":     {"sport/tennis/player1", nil},
		"only a slash":       {"/", nil},
		"empty levels":       {"//a//", nil},
		"space":              {"a b/ c", nil},
		"system":             {"$SYS/broker/uptime", nil},
		"share as a name":    {"$share/g/a", nil},
		"two, three, four":   {"ä/€/🜁", nil},
		"byte order mark":    {"\ufeffa", nil},
		"replacement rune":   {"\ufffd", nil},
		"longest":            {strings.Repeat("a", 65535), nil},
		"empty":              {"", topic.ErrEmpty},
		"too long":           {strings.Repeat("a", 65536), topic.ErrTooLong},
		"plus":               {"a/+", topic.ErrName},
		"hash":               {"#", topic.ErrName},
		"wildcard in a word": {"a+b", topic.ErrName},
		"null":               {"a\x00", topic.ErrNull},
		"stray continuation": {"a\x80", topic.ErrEncoding},
		"cut short":          {"\xe2\x82", topic.ErrEncoding},
		"overlong":           {"\xc0\xaf", topic.ErrEncoding},
		"surrogate":          {"\xed\xa0\x80", topic.ErrEncoding},
		"beyond Unicode":     {"\xf4\x90\x80\x80", topic.ErrEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			if err := topic.CheckName(tt.in); err != tt.want {
				t.Errorf("CheckName(%.20q) = %v, want %v", tt.in, err, tt.want)
			}
			if err := topic.CheckName([]byte(tt.in)); err != tt.want {
				t.Errorf("CheckName of the bytes %.20q = %v, want %v", tt.in, err, tt.want)
			}
		})
	}
}

func TestFiltersAreChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want error
	}{
		"exact":                {"a/b", nil},
		"all":                  {"#", nil},
		"one level":            {"+", nil},
		"every kind":           {"+/a/+/#", nil},
		"between empty levels": {"/+/", nil},
		"system":               {"$SYS/#", nil},
		"longest":              {strings.Repeat("+/", 32767) + "#", nil},
		"shared":               {"$share/g/a/+/#", nil},
		"shared slash":         {"$share/g//", nil},
		"shared with unicode":  {"$share/grüppe/a", nil},
		"no share":             {"$share", nil},
		"not quite a share":    {"$shared/a", nil},
		"empty":                {"", topic.ErrEmpty},
		"too long":             {strings.Repeat("a", 65536), topic.ErrTooLong},
		"hash after a word":    {"a#", topic.ErrHash},
		"hash before the end":  {"a/#/b", topic.ErrHash},
		"hash before a slash":  {"#/", topic.ErrHash},
		"two hashes":           {"##", topic.ErrHash},
		"plus after a word":    {"a+/b", topic.ErrPlus},
		"plus before a word":   {"a/+b", topic.ErrPlus},
		"two plus":             {"++", topic.ErrPlus},
		"plus and hash":        {"+#", topic.ErrPlus},
		"null":                 {"a/\x00", topic.ErrNull},
		"encoding":             {"a/\xff", topic.ErrEncoding},
		"nothing shared":       {"$share/", topic.ErrShare},
		"share without filter": {"$share/g", topic.ErrShare},
		"share, empty filter":  {"$share/g/", topic.ErrShare},
		"empty share name":     {"$share//a", topic.ErrShare},
		"plus in share name":   {"$share/+/a", topic.ErrShare},
		"hash in share name":   {"$share/g#/a", topic.ErrShare},
		"hash ends the share":  {"$share/#", topic.ErrShare},
		"shared bad filter":    {"$share/g/a#", topic.ErrHash},
		"shared bad plus":      {"$share/g/+a", topic.ErrPlus},
		"encoding of share":    {"$share/\xff/a", topic.ErrEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			if err := topic.CheckFilter(tt.in); err != tt.want {
				t.Errorf("CheckFilter(%.20q) = %v, want %v", tt.in, err, tt.want)
			}
			if err := topic.CheckFilter([]byte(tt.in)); err != tt.want {
				t.Errorf("CheckFilter of the bytes %.20q = %v, want %v", tt.in, err, tt.want)
			}
		})
	}
}

// validText is the part of the rules that names and filters share.
func validText(s string) bool {
	return s != "" && len(s) <= topic.MaxLength && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// validFilter says by levels what CheckFilter says byte by byte.
func validFilter(s string) bool {
	if !validText(s) {
		return false
	}
	levels := strings.Split(s, "/")
	if len(levels) > 1 && levels[0] == "$share" {
		if len(levels) < 3 || levels[1] == "" || strings.ContainsAny(levels[1], "+#") {
			return false
		}
		levels = levels[2:]
		if len(levels) == 1 && levels[0] == "" {
			return false
		}
	}
	for i, level := range levels {
		switch {
		case level == "+":
		case level == "#" && i == len(levels)-1:
		case strings.ContainsAny(level, "+#"):
			return false
		}
	}
	return true
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"a", "a/+/#", "$share/g/#", "$share/g/", "$share//", "+a", "ä\x00", "\xed\xa0\x80", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := topic.CheckFilter(s)
		if (err == nil) != validFilter(s) {
			t.Errorf("CheckFilter(%q) = %v", s, err)
		}
		if errb := topic.CheckFilter([]byte(s)); errb != err {
			t.Errorf("CheckFilter(%q) = %v for a string and %v for bytes", s, err, errb)
		}
		err = topic.CheckName(s)
		if (err == nil) != (validText(s) && !strings.ContainsAny(s, "+#")) {
			t.Errorf("CheckName(%q) = %v", s, err)
		}
		if errb := topic.CheckName([]byte(s)); errb != err {
			t.Errorf("CheckName(%q) = %v for a string and %v for bytes", s, err, errb)
		}
		if reason := topic.Error(""); err != nil && !errors.As(err, &reason) {
			t.Errorf("CheckName(%q) = %T, want an Error", s, err)
		}
	})
}

func TestChecksAndMatchDoNotAllocate(t *testing.T) {
	name, filter := []byte("sport/größe/player1"), []byte("$share/größe/sport/+/#")
	if n := testing.AllocsPerRun(100, func() {
		if topic.CheckName(name) != nil || topic.CheckFilter(filter) != nil || !topic.Match("sport/+/#", name) {
			t.Error("valid name or filter refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkCheckName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := topic.CheckName("plant7/line3/robot12/joint4/temperature"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckFilter(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := topic.CheckFilter("$share/workers/plant7/+/robot12/#"); err != nil {
			b.Fatal(err)
		}
	}
}
