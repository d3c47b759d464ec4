package mosquitto

import (
	"fmt"
	"strings"
)

// Short says in a line what the tool does.
func (t Tool) Short() string {
	switch t {
	case Pub:
		return "Publish messages"
	case Sub:
		return "Subscribe to topics and print the messages"
	case RR:
		return "Send a request and print the response"
	}
	return "Make and change password files"
}

// Synopsis is what follows the name.
func (t Tool) Synopsis() string {
	switch t {
	case Pub:
		return "{-t topic | -L url} {-m message | -f file | -l | -s | -n} [options]"
	case Sub:
		return "{-t filter | -L url} [options]"
	case RR:
		return "{-t topic | -L url} -e topic {-m message | -f file | -s | -n} [options]"
	}
	return "[-H hash] [-c | -D] file user | -b [-H hash] [-c] file user password | -U file"
}

// Long describes the tool in paragraphs.
func (t Tool) Long() string {
	const files = `

Options that always hold stand in $XDG_CONFIG_HOME/mosquitto_%[1]s or
~/.config/mosquitto_%[1]s, one a line; -o names another file.`
	const statuses = `

The options are those of mosquitto_%[1]s, and called by that name, through a link,
this is that tool.

Exit status: 0 when all is well, the server's code when it refuses the connection,
%[2]s7 when the connection is lost, 2 for a command line that
makes no sense (1 as mosquitto_%[1]s), and 1 for the rest.`
	switch t {
	case Pub:
		return "Publish messages and wait until the server has them." + fmt.Sprintf(statuses+files, "pub", "") + propertyNames()
	case Sub:
		return "Subscribe to topics and print the messages until interrupted. A connection that is\nlost is made again." +
			fmt.Sprintf(statuses+files, "sub", "27 when -W has passed, ") + formats + propertyNames()
	case RR:
		return "Publish a request with a Response Topic and print the first message that comes to it." +
			fmt.Sprintf(statuses+files, "rr", "27 when -W has passed, ") + formats + propertyNames()
	}
	return `Make and change the password files that the broker reads with --password-file, and
Mosquitto too. Without -b the password is asked for, without being shown. "-c -" prints
the line instead of writing a file.

The options are those of mosquitto_passwd, and called by that name, through a link,
this is that tool. Exit status: 0 when all is well, 2 for a command line that makes no
sense (1 as mosquitto_passwd) and for passwords that do not match, and 1 for the rest.`
}

// propertyNames lists what -D takes, by packet.
func propertyNames() string {
	var b strings.Builder
	b.WriteString("\n\nProperties: -D takes")
	column := b.Len() - 2
	for _, k := range carriers() {
		if !k.supported {
			continue
		}
		for i, name := range propertiesOf(k.name) {
			word := " " + name
			if i == 0 {
				word = " for " + k.name + ": " + name
			}
			if i+1 < len(propertiesOf(k.name)) {
				word += ","
			} else if k.name != "disconnect" {
				word += ";"
			}
			if column+len(word) > 88 {
				b.WriteString("\n")
				word, column = word[1:], 0
			}
			b.WriteString(word)
			column += len(word)
		}
	}
	return b.String() + "."
}

const formats = `

Formats: -F takes text with %t topic, %p payload, %x and %X payload in hexadecimal
(%:x with : between the bytes), %f and %d payload as a float of 4 or 8 bytes, %l its
length, %q QoS, %r retained, %m packet identifier, %I and %U time, %j JSON, %J JSON
with a payload that is JSON, %A topic alias, %C content type, %D correlation data, %E
expiry, %F payload format, %P user properties, %R response topic, %S subscription
identifier, %% percent; @X for %X of strftime, @N nanoseconds; \n \t \r \e \a \v \0 \\.
Between % and the letter: - to fill on the right, 0 to fill with zeros, a width, and
.max, the length at which text is cut.`

// Example is command lines of the tool called name, one a line.
func (t Tool) Example(name string) string {
	lines := map[Tool][]string{
		Pub: {
			"-t sensors/kitchen -m 21.5 -q 1 -r",
			"-L mqtts://user:secret@broker.example/sensors/cellar -l -q 1 < values.txt",
			"-V 5 -t jobs -f job.json -D publish content-type application/json",
		},
		Sub: {
			"-t 'sensors/#' -v",
			"-t door/bell -C 1 -W 30",
			"-t 'sensors/+' -F '@Y-@m-@dT@H:@M:@S %t %p'",
		},
		RR: {
			"-t time/request -e time/response -m now -W 5",
			"-t clock -e answers/me -n --latency",
		},
		Passwd: {
			"-c passwords alice",
			"-b passwords bob secret",
			"-D passwords alice",
		},
	}[t]
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "  %s %s\n", name, l)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Usage is what --help prints.
func (c *Call) Usage() string {
	var b strings.Builder
	t := c.Tool
	fmt.Fprintf(&b, "%s\n\nUsage:\n  %s %s\n\nExamples:\n%s\n", t.Long(), c.Name, t.Synopsis(), t.Example(c.Name))
	group := ""
	for _, o := range c.options() {
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(&b, "\n%s:\n", group)
		}
		name := o.Spelling()
		if o.Short == "" {
			name = "    " + name
		}
		if len(name) > 28 {
			fmt.Fprintf(&b, "  %s\n", name)
			name = ""
		}
		fmt.Fprintf(&b, "  %-28s %s\n", name, o.Help)
	}
	return b.String()
}

// Spelling is the option with its argument, as "-q, --qos qos".
func (o *Option) Spelling() string {
	name := o.Short
	switch {
	case o.Short == "":
		name = o.Long
	case o.Long != "":
		name += ", " + o.Long
	}
	if o.Arg != "" {
		name += " " + o.Arg
	}
	return name
}
