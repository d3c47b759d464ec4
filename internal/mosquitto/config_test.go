package mosquitto

import (
	"strings"
	"testing"
)

func TestWhatNoPacketHoldsIsRefused(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	long := strings.Repeat("x", 70000)
	for name, args := range map[string][]string{
		"id":            {"-i", long},
		"prefix":        {"-I", long},
		"user":          {"-u", long},
		"password":      {"-u", "u", "-P", long},
		"will":          {"--will-topic", "w", "--will-payload", long},
		"will's topic":  {"--will-topic", long},
		"topic":         {"-t", long},
		"property":      {"-D", "publish", "content-type", long},
		"user property": {"-D", "publish", "user-property", "k", long},
		"its name":      {"-D", "connect", "user-property", long, "v"},
	} {
		for _, tool := range []string{"mosquitto_pub", "wirebird pub"} {
			c := Call{Tool: Pub, Name: tool, Args: append([]string{"-t", "t", "-m", "m"}, args...)}
			if _, err := c.load(); err == nil {
				t.Errorf("%s, %s: no error", tool, name)
			}
		}
	}
}
