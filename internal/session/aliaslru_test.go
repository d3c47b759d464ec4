package session

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestAliasLRUGivesTheAliasOfTheTopicUnusedForLongest(t *testing.T) {
	a := NewAliasLRU(2)
	for i, step := range []struct {
		topic string
		alias uint16
		known bool
	}{
		{"a", 0, false}, {"a", 1, false}, {"a", 1, true},
		{"b", 0, false}, {"b", 2, false}, {"a", 1, true},
		{"c", 0, false}, {"c", 2, false}, // b is older than a
		{"b", 0, false}, {"b", 1, false}, {"c", 2, true}, {"b", 1, true},
	} {
		if alias, known := a.For(step.topic); alias != step.alias || known != step.known {
			t.Fatalf("step %d, %s: alias %d, known %v; want %d, %v", i, step.topic, alias, known, step.alias, step.known)
		}
	}
}

// A peer that follows the table always knows which topic is meant.
func TestAliasLRUAndItsPeerAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := uint16(rapid.IntRange(1, 5).Draw(t, "max"))
		a, peer := NewAliasLRU(most), AliasIn{}
		for range rapid.IntRange(1, 200).Draw(t, "messages") {
			topic := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "topic"))
			switch alias, known := a.For(topic); {
			case alias > most:
				t.Fatalf("alias %d is over %d", alias, most)
			case known && peer.Get(alias) != topic:
				t.Fatalf("alias %d stands for %q, want %q", alias, peer.Get(alias), topic)
			case alias != 0 && !known:
				peer.Set(alias, most, []byte(topic))
			}
		}
		if len(a.once) > 4*int(most)+1 || len(a.byTopic) > int(most) {
			t.Fatalf("%d candidates and %d topics for %d aliases", len(a.once), len(a.byTopic), most)
		}
	})
}
