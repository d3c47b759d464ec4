package simulate

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/goccy/go-yaml"
)

// Scenario is a file of groups.
type Scenario struct {
	// Version of the file: 1.
	Version  int           `yaml:"version"`
	Duration time.Duration `yaml:"duration"` // 0 is no end
	Seed     uint64        `yaml:"seed"`
	Groups   []Group       `yaml:"groups"`
}

// ReadScenario reads YAML. A key it does not know is an error with its line.
func ReadScenario(r io.Reader) (*Scenario, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	s := &Scenario{}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.DisallowUnknownField()).Decode(s); err != nil {
		if err == io.EOF {
			return nil, fmt.Errorf("the file is empty")
		}
		return nil, fmt.Errorf("%s", yaml.FormatError(err, false, false))
	}
	if s.Version != 1 {
		return nil, fmt.Errorf("version: want 1, not %d", s.Version)
	}
	for i := range s.Groups {
		s.Groups[i].defaults()
	}
	return s, nil
}

// defaults fills what a scenario may leave out.
func (g *Group) defaults() {
	if g.Devices == 0 {
		g.Devices = 1
	}
	if g.Interval == 0 {
		g.Interval = time.Second
	}
	if g.ClientID == "" {
		g.ClientID = g.Name + "-{{n}}"
	}
}
