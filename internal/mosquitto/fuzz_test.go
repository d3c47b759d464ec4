package mosquitto

import (
	"strings"
	"testing"
)

// Any command line is either understood or refused with words.
func FuzzCommandLine(f *testing.F) {
	for _, line := range []string{
		"-t a -m x", "-t a/# -v -F %t -C 3 --context x", "-D publish user-property k v", "-L mqtt://u:p@h:1/t", "--topic=a --qos=1", "-x -1 -V 5 -c",
		"-D", "-t", "--proxy socks5h://u:p@h:1", "-e r -t a -n", "--retain-handling new --random-filter 0.1", "-o", "-W 1 -w --pretty",
	} {
		f.Add(line, true)
		f.Add(line, false)
	}
	f.Fuzz(func(t *testing.T, line string, ours bool) {
		args := strings.Fields(line)
		for _, tool := range []Tool{Pub, Sub, RR} {
			p := &parser{tool: tool, ours: ours, name: "x", config: tool.defaults(), options: tool.Options()}
			err := p.parse(args)
			if err == nil {
				err = p.check()
			}
			var said strings.Builder
			c := Call{Tool: tool, Name: "mosquitto_" + tool.String(), Out: &said, Err: &said}
			if ours {
				c.Name = "wirebird " + tool.String()
			}
			if err != nil && (c.misused(err) == 0 && err != errHelp && err != errVersion || strings.TrimSpace(said.String()) == "") {
				t.Errorf("%q: %v, said %q", args, err, &said)
			}
			p.given(args)
			tool.Complete(args, nil)
		}
	})
}
