package mosquitto

import "fmt"

// saved reads the options of a saved connection: the one that args name with
// --context, else the one in use, unless args name a server of their own.
// What args say themselves wins, because it is read later.
func (p *parser) saved(args []string, find func(name string) ([]string, error)) error {
	given := p.given(args)
	has := func(names ...string) bool {
		for _, name := range names {
			if _, ok := given[name]; ok {
				return true
			}
		}
		return false
	}
	name, elsewhere := given[contextOption], has("-h", "-L", "--unix")
	if name == "" && elsewhere {
		return nil
	}
	options, err := find(name)
	if err != nil {
		return &savedError{err}
	}
	ownID := has("-i", "-I")
	for i := 0; i < len(options); i++ {
		o := p.option(options[i])
		if o == nil {
			return &savedError{fmt.Errorf("Error: the saved connection has %s, which '%s' has not.", options[i], p.tool)}
		}
		value := ""
		if o.Arg != "" {
			i++
			value = options[i]
		}
		switch o.Long {
		case "--host", "--port", "--unix", "--ws", "--ws-path":
			if elsewhere {
				continue
			}
		case "--id", "--id-prefix":
			if ownID {
				continue
			}
			p.config.id, p.config.idPrefix = nil, nil // of the file of options
		}
		if err := o.set(p, value); err != nil {
			return err
		}
	}
	return nil
}

// savedError is a saved connection that cannot be used. It is no mistake of
// the command line.
type savedError struct{ error }

func (e *savedError) Unwrap() error { return e.error }
