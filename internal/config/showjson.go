package config

import (
	"encoding/json"
	"io"
)

// shown is one setting in the output of ShowJSON.
type shown struct {
	Value json.RawMessage `json:"value"`
	From  string          `json:"from"`
}

// ShowJSON writes c as one JSON object: the key of each setting with its value
// and its origin. Numbers and booleans are those of JSON; what has a unit, and
// paths, are strings; listen is an array.
func ShowJSON(w io.Writer, c Config, o Origins) error {
	out := map[string]shown{}
	for _, s := range settings() {
		from := o[s.key]
		if from == "" {
			from = fromDefault
		}
		value, err := s.json(&c)
		if err != nil {
			return err
		}
		out[s.key] = shown{value, from}
	}
	return json.NewEncoder(w).Encode(out)
}

func (s setting) json(c *Config) (json.RawMessage, error) {
	if s.key == "listen" {
		type listener struct {
			URL            string   `json:"url"`
			AllowAnonymous bool     `json:"allow_anonymous"`
			Origins        []string `json:"origins,omitempty"`
		}
		list := []listener{}
		for _, l := range c.Listen {
			list = append(list, listener{l.URL, c.Anonymous(l), l.Origins})
		}
		return json.Marshal(list)
	}
	text := s.format(c)
	if s.plain && json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	return json.Marshal(text)
}
