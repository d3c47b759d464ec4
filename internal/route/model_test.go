package route_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/route"
	"github.com/wirebird/wirebird/topic"
	"pgregory.net/rapid"
)

const modelShards = 3

type modelKey struct {
	filter string
	to     route.Handle
}

type modelSub struct {
	opts    route.Options
	id      uint32
	offline bool
}

// model is a Table told in the plainest way: a list of subscriptions, each
// matched by itself.
type model map[modelKey]modelSub

// expect returns, for one topic, what each session is sent and who is in each
// group. Subscriptions of session skip with No Local are left out.
func (m model) expect(name string, skip route.Handle) (ordinary, groups map[string]string) {
	ids := map[route.Handle][]uint32{}
	opts := map[route.Handle]route.Options{}
	online, all := map[string][]string{}, map[string][]string{}
	for k, s := range m {
		share, rest := topic.SplitShare(k.filter)
		if !topic.Match(rest, name) || k.to == skip && s.opts&route.NoLocal != 0 {
			continue
		}
		if share != "" {
			one := describe(route.Target{To: k.to, ID: s.id, Opts: s.opts}, nil)
			all[k.filter] = append(all[k.filter], one)
			if !s.offline {
				online[k.filter] = append(online[k.filter], one)
			}
			continue
		}
		if s.id != 0 {
			ids[k.to] = append(ids[k.to], s.id)
		}
		const flags = route.NoLocal | route.RetainAsPublished
		old := opts[k.to]
		opts[k.to] = (old|s.opts)&flags | route.Options(max(old.QoS(), s.opts.QoS()))
	}
	ordinary, groups = map[string]string{}, map[string]string{}
	for to, o := range opts {
		one := route.Target{To: to, Opts: o, Count: uint32(len(ids[to]))}
		ordinary[fmt.Sprintf("%x", to)] = describe(one, ids[to])
	}
	maps.Copy(all, online) // an offline group keeps all of its members
	for filter, members := range all {
		slices.Sort(members)
		groups[filter] = strings.Join(members, "; ")
	}
	return ordinary, groups
}

// found returns what a Match says in the form of expect.
func found(t *rapid.T, m *route.Match) (ordinary, groups map[string]string) {
	ordinary, groups = map[string]string{}, map[string]string{}
	if len(m.ByShard) != modelShards {
		t.Fatalf("%d shards, want %d", len(m.ByShard), modelShards)
	}
	n := 0
	for shard, targets := range m.ByShard {
		for _, one := range targets {
			if n++; one.To.Shard() != shard || one.Count == 1 {
				t.Fatalf("target %+v of shard %d", one, shard)
			}
			ordinary[fmt.Sprintf("%x", one.To)] = describe(one, m.IDs)
		}
	}
	if n != m.N || n != len(ordinary) {
		t.Fatalf("%d targets for %d sessions, N is %d", n, len(ordinary), m.N)
	}
	for _, g := range m.Groups {
		var members []string
		for _, one := range g.Members {
			members = append(members, describe(one, nil))
		}
		slices.Sort(members)
		filter := "$share/" + g.Share + "/" + g.Filter
		if _, dup := groups[filter]; dup {
			t.Fatalf("group %s twice", filter)
		}
		groups[filter] = strings.Join(members, "; ")
	}
	return ordinary, groups
}

// prefixes counts the nodes a trie of the model's wildcard filters needs: one
// for each beginning that ends with a level other than #.
func (m model) prefixes() int {
	set := map[string]bool{}
	for k := range m {
		_, rest := topic.SplitShare(k.filter)
		if !topic.HasWildcard(rest) {
			continue
		}
		levels := strings.Split(rest, "/")
		for i, level := range levels {
			if level != "#" {
				set[strings.Join(levels[:i+1], "/")] = true
			}
		}
	}
	return len(set)
}

func (m model) filters() int {
	set := map[string]bool{}
	for k := range m {
		set[k.filter] = true
	}
	return len(set)
}

var ( // generators are immutable
	levelGen  = rapid.SampledFrom([]string{"a", "b", "", "$x"})
	nameGen   = rapid.Map(rapid.SliceOfN(levelGen, 1, 4), joinName)
	handleGen = rapid.Custom(func(t *rapid.T) route.Handle {
		return route.MakeHandle(rapid.IntRange(0, modelShards-1).Draw(t, "shard"),
			rapid.Uint32Range(1, 2).Draw(t, "gen"), rapid.Uint32Range(0, 3).Draw(t, "idx"))
	})
	filterGen = rapid.Custom(func(t *rapid.T) string {
		levels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "", "$x", "+", "+"}), 1, 4).Draw(t, "levels")
		if rapid.Bool().Draw(t, "multi") {
			levels[len(levels)-1] = "#"
		}
		share := rapid.SampledFrom([]string{"", "", "$share/g/", "$share/h/"}).Draw(t, "share")
		return share + joinName(levels)
	})
	optsGen = rapid.Map(rapid.IntRange(0, 11), func(n int) route.Options {
		return route.Options(n%3) | route.Options(n/3)<<2
	})
)

// joinName joins levels to a name or filter, which cannot be empty.
func joinName(levels []string) string {
	if s := strings.Join(levels, "/"); s != "" {
		return s
	}
	return "/"
}

// tableTest drives a Table and its model with the same operations.
type tableTest struct {
	table  *route.Table
	model  model
	reused route.Match
	cached map[string]*route.Match
}

func (tt *tableTest) subscribe(t *rapid.T, filter string, to route.Handle, o route.Options, id uint32) {
	_, want := tt.model[modelKey{filter, to}]
	if got := tt.table.Subscribe(filter, to, o, id); got != want {
		t.Fatalf("Subscribe(%q, %x) existed = %t, want %t", filter, to, got, want)
	}
	tt.model[modelKey{filter, to}] = modelSub{opts: o, id: id}
}

func (tt *tableTest) unsubscribe(t *rapid.T, filter string, to route.Handle) {
	_, want := tt.model[modelKey{filter, to}]
	if got := tt.table.Unsubscribe(filter, to); got != want {
		t.Fatalf("Unsubscribe(%q, %x) existed = %t, want %t", filter, to, got, want)
	}
	delete(tt.model, modelKey{filter, to})
}

// crowd subscribes many sessions to one filter, or removes many, so that lists
// get and lose their index.
func (tt *tableTest) crowd(t *rapid.T) {
	filter := filterGen.Draw(t, "filter")
	from, to := rapid.Uint32Range(0, 40).Draw(t, "from"), rapid.Uint32Range(0, 60).Draw(t, "to")
	leave := rapid.Bool().Draw(t, "leave")
	for i := from; i < to; i++ {
		session := route.MakeHandle(int(i)%modelShards, 3, i)
		if leave {
			tt.unsubscribe(t, filter, session)
		} else {
			tt.subscribe(t, filter, session, route.Options(i%3), i%2)
		}
	}
}

// fan subscribes to many siblings, or removes many, so that nodes get and lose
// their map.
func (tt *tableTest) fan(t *rapid.T) {
	from, to := rapid.IntRange(0, 20).Draw(t, "from"), rapid.IntRange(0, 40).Draw(t, "to")
	leave := rapid.Bool().Draw(t, "leave")
	for i := from; i < to; i++ {
		filter := fmt.Sprintf("a/%d/+", i*7%40)
		if leave {
			tt.unsubscribe(t, filter, route.MakeHandle(0, 3, 0))
		} else {
			tt.subscribe(t, filter, route.MakeHandle(0, 3, 0), 0, 0)
		}
	}
}

func (tt *tableTest) setOnline(t *rapid.T) {
	k := modelKey{filterGen.Draw(t, "filter"), handleGen.Draw(t, "to")}
	if keys := tt.keys(); len(keys) > 0 && rapid.Bool().Draw(t, "existing") {
		k = rapid.SampledFrom(keys).Draw(t, "key")
	}
	online := rapid.Bool().Draw(t, "online")
	tt.table.SetOnline(k.filter, k.to, online)
	if s, ok := tt.model[k]; ok && strings.HasPrefix(k.filter, "$share/") {
		s.offline = !online
		tt.model[k] = s
	}
}

// keys returns the model's keys in an order that does not vary between runs.
func (tt *tableTest) keys() []modelKey {
	return slices.SortedFunc(maps.Keys(tt.model), func(a, b modelKey) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
}

func (tt *tableTest) match(t *rapid.T) {
	name := nameGen.Draw(t, "name")
	if rapid.IntRange(0, 3).Draw(t, "fan") == 0 {
		name = fmt.Sprintf("a/%d/x", rapid.IntRange(0, 40).Draw(t, "kid"))
	}
	tt.table.Match(name, &tt.reused)
	tt.compare(t, name, &tt.reused)
	kept := new(route.Match)
	tt.table.Match(name, kept)
	tt.cached[name] = kept

	own := handleGen.Draw(t, "own")
	one, ids, ok := tt.table.MatchOwn(name, own)
	ordinary, _ := tt.model.expect(name, own)
	want, wantOK := ordinary[fmt.Sprintf("%x", own)]
	if ok != wantOK || ok && describe(one, ids) != want {
		t.Fatalf("MatchOwn(%q, %x) = %+v %v %t, want %q", name, own, one, ids, ok, want)
	}
}

func (tt *tableTest) compare(t *rapid.T, name string, m *route.Match) {
	ordinary, groups := found(t, m)
	wantOrdinary, wantGroups := tt.model.expect(name, ^route.Handle(0))
	if !maps.Equal(ordinary, wantOrdinary) {
		t.Fatalf("%q goes to %q, want %q", name, ordinary, wantOrdinary)
	}
	if !maps.Equal(groups, wantGroups) {
		t.Fatalf("%q goes to the groups %q, want %q", name, groups, wantGroups)
	}
	if m.Topic != name {
		t.Fatalf("the match of %q is for %q", name, m.Topic)
	}
}

// check compares all that can be seen without an argument, and the matches that
// claim to be fresh still.
func (tt *tableTest) check(t *rapid.T) {
	for name, m := range tt.cached {
		if m.Gen != tt.table.Gen() {
			delete(tt.cached, name)
			continue
		}
		tt.compare(t, name, m)
	}
	filters, subs := tt.table.Len()
	if filters != tt.model.filters() || subs != len(tt.model) {
		t.Fatalf("Len() = %d, %d, want %d, %d", filters, subs, tt.model.filters(), len(tt.model))
	}
	if n := tt.table.Stats(); n != tt.model.prefixes() {
		t.Fatalf("%d nodes, want %d", n, tt.model.prefixes())
	}
	seen := model{}
	tt.table.Each(func(filter string, to route.Handle, o route.Options, id uint32) bool {
		k := modelKey{filter, to}
		if _, dup := seen[k]; dup {
			t.Fatalf("Each has %v twice", k)
		}
		seen[k] = modelSub{o, id, tt.model[k].offline}
		return true
	})
	if !maps.Equal(seen, tt.model) {
		t.Fatalf("Each has %v, want %v", seen, tt.model)
	}
}

func TestTableDoesWhatAPlainListDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tt := &tableTest{table: route.New(modelShards), model: model{}, cached: map[string]*route.Match{}}
		t.Repeat(map[string]func(*rapid.T){
			"": tt.check,
			"subscribe": func(t *rapid.T) {
				tt.subscribe(t, filterGen.Draw(t, "filter"), handleGen.Draw(t, "to"),
					optsGen.Draw(t, "opts"), rapid.Uint32Range(0, 3).Draw(t, "id"))
			},
			"subscribe more": func(t *rapid.T) {
				for range 5 {
					tt.subscribe(t, filterGen.Draw(t, "filter"), handleGen.Draw(t, "to"),
						optsGen.Draw(t, "opts"), rapid.Uint32Range(0, 3).Draw(t, "id"))
				}
			},
			"unsubscribe": func(t *rapid.T) {
				tt.unsubscribe(t, filterGen.Draw(t, "filter"), handleGen.Draw(t, "to"))
			},
			"unsubscribe existing": func(t *rapid.T) {
				if keys := tt.keys(); len(keys) > 0 {
					k := rapid.SampledFrom(keys).Draw(t, "key")
					tt.unsubscribe(t, k.filter, k.to)
				}
			},
			"crowd":      tt.crowd,
			"fan":        tt.fan,
			"online":     tt.setOnline,
			"match":      tt.match,
			"match more": tt.match,
		})
		for _, k := range tt.keys() {
			tt.unsubscribe(t, k.filter, k.to)
		}
		tt.check(t)
	})
}

func TestEachStopsWhenTold(t *testing.T) {
	for _, filters := range [][]string{{"a", "b"}, {"a/+", "b/+"}, {"$share/g/a", "$share/h/a"}} {
		table := route.New(1)
		for _, filter := range filters {
			table.Subscribe(filter, handle(0, 1), 0, 0)
			table.Subscribe(filter, handle(0, 2), 0, 0)
		}
		calls := 0
		table.Each(func(string, route.Handle, route.Options, uint32) bool {
			calls++
			return false
		})
		if calls != 1 {
			t.Errorf("%q: called %d times after it was told to stop", filters, calls)
		}
	}
}
