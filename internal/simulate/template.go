package simulate

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxHex bounds {{hex n}}, in bytes.
const maxHex = 1 << 20

// Template is text with places for values: {{name arguments}}. Everything else,
// single braces included, stays as it is.
type Template struct {
	parts []part
}

// part is plain text, or a value.
type part struct {
	text  string
	value func(*device, time.Time) string // nil for text
}

// device is what values may depend on.
type device struct {
	number int // from 0
	seq    int // messages so far
	born   time.Time
	random *rand.Rand
	walks  []float64 // state of {{walk}}, by its place
}

// ParseTemplate takes text apart. An error names the place that is wrong.
func ParseTemplate(text string) (*Template, error) {
	t := &Template{}
	walks := 0
	for {
		before, rest, ok := strings.Cut(text, "{{")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		if !ok {
			return t, nil
		}
		inner, after, ok := strings.Cut(rest, "}}")
		if !ok {
			return nil, fmt.Errorf("{{%s has no }}", rest)
		}
		value, err := parseValue(strings.Fields(inner), &walks)
		if err != nil {
			return nil, fmt.Errorf("{{%s}}: %w", inner, err)
		}
		t.parts = append(t.parts, part{value: value})
		text = after
	}
}

func (t *Template) text(d *device, now time.Time) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.value != nil {
			b.WriteString(p.value(d, now))
			continue
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// parseValue returns the function of a place. walks counts those with state.
func parseValue(words []string, walks *int) (func(*device, time.Time) string, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("nothing stands in it; there are %s", valueNames)
	}
	name, args := words[0], words[1:]
	if v, ok := plainValue(name); ok {
		if len(args) > 0 {
			return nil, fmt.Errorf("%s takes no arguments", name)
		}
		return v, nil
	}
	switch name {
	case "choice":
		if len(args) == 0 {
			return nil, fmt.Errorf("choice takes one word or more")
		}
		args = slices.Clone(args)
		return func(d *device, _ time.Time) string { return args[d.random.IntN(len(args))] }, nil
	case "sine":
		return sine(args)
	}
	v, err := numbers(args)
	if err != nil {
		return nil, err
	}
	switch name {
	case "int":
		if len(v) != 2 || v[0] > v[1] || v[0] != math.Trunc(v[0]) || v[1] != math.Trunc(v[1]) || v[1]-v[0] > 1<<52 {
			return nil, fmt.Errorf("int takes the least and the greatest whole number")
		}
		low, n := int64(v[0]), int64(v[1]-v[0])+1
		return func(d *device, _ time.Time) string { return strconv.FormatInt(low+d.random.Int64N(n), 10) }, nil
	case "float":
		if len(v) != 2 || v[0] > v[1] {
			return nil, fmt.Errorf("float takes the least and the greatest number")
		}
		return func(d *device, _ time.Time) string { return decimal(v[0] + d.random.Float64()*(v[1]-v[0])) }, nil
	case "walk":
		if len(v) != 2 || v[1] < 0 {
			return nil, fmt.Errorf("walk takes where it begins and its longest step")
		}
		at := *walks
		*walks++
		return func(d *device, _ time.Time) string { return decimal(d.walk(at, v[0], v[1])) }, nil
	case "hex":
		if len(v) != 1 || v[0] < 1 || v[0] > maxHex || v[0] != math.Trunc(v[0]) {
			return nil, fmt.Errorf("hex takes a number of bytes, 1 to %d", maxHex)
		}
		return func(d *device, _ time.Time) string { return randomHex(d, int(v[0])) }, nil
	}
	return nil, fmt.Errorf("unknown; there are %s", valueNames)
}

const valueNames = "n, seq, time, unix, unixms, bool, uuid, choice, int, float, sine, walk and hex"

// plainValue is a value without arguments.
func plainValue(name string) (func(*device, time.Time) string, bool) {
	switch name {
	case "n":
		return func(d *device, _ time.Time) string { return strconv.Itoa(d.number) }, true
	case "seq":
		return func(d *device, _ time.Time) string { return strconv.Itoa(d.seq) }, true
	case "time":
		return func(_ *device, now time.Time) string { return now.UTC().Format("2006-01-02T15:04:05.000Z") }, true
	case "unix":
		return func(_ *device, now time.Time) string { return strconv.FormatInt(now.Unix(), 10) }, true
	case "unixms":
		return func(_ *device, now time.Time) string { return strconv.FormatInt(now.UnixMilli(), 10) }, true
	case "bool":
		return func(d *device, _ time.Time) string { return strconv.FormatBool(d.random.IntN(2) == 1) }, true
	case "uuid":
		return func(d *device, _ time.Time) string { return uuid(d) }, true
	}
	return nil, false
}

// sine is {{sine mean amplitude period}}, each device at a phase of its own.
func sine(args []string) (func(*device, time.Time) string, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("sine takes a mean, an amplitude and a period, such as 20 5 60s")
	}
	v, err := numbers(args[:2])
	if err != nil {
		return nil, err
	}
	period, err := time.ParseDuration(args[2])
	if err != nil || period <= 0 {
		return nil, fmt.Errorf("the period %q is no time such as 60s", args[2])
	}
	return func(d *device, now time.Time) string {
		const golden = 0.6180339887498949 // spreads the phases of any number of devices
		turns := now.Sub(d.born).Seconds()/period.Seconds() + float64(d.number)*golden
		return decimal(v[0] + v[1]*math.Sin(2*math.Pi*turns))
	}, nil
}

func numbers(args []string) ([]float64, error) {
	var out []float64
	for _, a := range args {
		v, err := strconv.ParseFloat(a, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%q is no number", a)
		}
		out = append(out, v)
	}
	return out, nil
}

// decimal has three digits behind the point at most.
func decimal(v float64) string {
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// walk makes a step and returns where it leads.
func (d *device) walk(at int, begin, step float64) float64 {
	for len(d.walks) <= at {
		d.walks = append(d.walks, math.NaN())
	}
	if math.IsNaN(d.walks[at]) {
		d.walks[at] = begin
	} else {
		d.walks[at] += (2*d.random.Float64() - 1) * step
	}
	return d.walks[at]
}

func randomHex(d *device, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(d.random.Uint32())
	}
	return hex.EncodeToString(b)
}

// uuid is of version 4.
func uuid(d *device) string {
	s := []byte(randomHex(d, 16))
	s[12] = '4'
	s[16] = "89ab"[d.random.IntN(4)]
	return fmt.Sprintf("%s-%s-%s-%s-%s", s[:8], s[8:12], s[12:16], s[16:20], s[20:])
}
