package mosquitto

import "strings"

// Completion is what a shell offers after the words of a command line.
type Completion struct {
	Words []string // each may have a tab and a description behind it
	Files bool     // names of files as well
	Dirs  bool     // names of directories as well
}

// Complete says what can follow args, which are those of the tool before the
// word that is being typed. contexts are the names of saved connections.
func (t Tool) Complete(args, contexts []string) Completion {
	p := &parser{tool: t, ours: true, config: t.defaults(), options: t.Options()}
	for i := 0; i < len(args); i++ {
		o := p.option(args[i])
		switch {
		case o == nil && t == Passwd:
			return Completion{Files: true} // the file, which the user and the password follow
		case o == nil || o.Arg == "":
			continue
		case o.Short == "-D" && t != Passwd:
			words := args[i+1:]
			if n := propertyLength(words); len(words) < n {
				return propertyWordsAfter(words)
			}
			i += propertyLength(words)
		case i+1 == len(args):
			return o.complete(contexts)
		default:
			i++
		}
	}
	c := Completion{Files: t == Passwd}
	for _, o := range t.Options() {
		for _, name := range []string{o.Long, o.Short} {
			if name != "" {
				c.Words = append(c.Words, name+"\t"+o.Help)
			}
		}
	}
	return c
}

// complete is for the argument of the option.
func (o *Option) complete(contexts []string) Completion {
	switch o.Arg {
	case "file", "path":
		return Completion{Files: true}
	case "dir":
		return Completion{Dirs: true}
	case "qos":
		return Completion{Words: []string{"0\tat most once", "1\tat least once", "2\texactly once"}}
	case "when":
		return Completion{Words: []string{"always", "new", "never"}}
	case "hash":
		return Completion{Words: []string{"sha512-pbkdf2", "argon2id", "sha512"}}
	case "form":
		return Completion{Words: []string{"pem"}}
	case "version":
		if o.Long == "--tls-version" {
			return Completion{Words: []string{"tlsv1.3", "tlsv1.2", "tlsv1.1"}}
		}
		return Completion{Words: []string{"5", "311", "31"}}
	case "name":
		if o.Long == contextOption {
			return Completion{Words: contexts}
		}
	case "url":
		if o.Long == "--proxy" {
			return Completion{Words: []string{socksScheme}}
		}
		return Completion{Words: []string{"mqtt://", "mqtts://", "ws://", "wss://"}}
	}
	return Completion{}
}

// propertyLength is how many words follow -D.
func propertyLength(words []string) int {
	if len(words) > 1 && strings.EqualFold(words[1], "user-property") {
		return 4
	}
	return 3
}

// propertyWordsAfter is for the words of -D, of which some are there.
func propertyWordsAfter(words []string) Completion {
	var c Completion
	switch len(words) {
	case 0:
		for _, k := range carriers() {
			if k.supported {
				c.Words = append(c.Words, k.name)
			}
		}
	case 1:
		c.Words = propertiesOf(words[0])
	}
	return c
}

// propertiesOf are the names of the properties that -D takes for a packet.
func propertiesOf(packetName string) []string {
	var names []string
	for _, n := range namedProperties() {
		settable := n.set != nil || n.name == "user-property"
		if settable && hasWord(n.in, packetName) && (n.name != "subscription-identifier" || packetName != "publish") {
			names = append(names, n.name)
		}
	}
	return names
}
