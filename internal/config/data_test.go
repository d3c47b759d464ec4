package config

import (
	"path/filepath"
	"runtime"
	"testing"
)

// In the package, because a test cannot choose its user or operating system.
func TestDataHasAPlaceByDefault(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the table is of Unix paths")
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		goos string
		euid int
		want string
	}{
		"root":           {map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/root"}, "linux", 0, "/var/lib/wirebird"},
		"XDG":            {map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "linux", 1000, "/s/wirebird"},
		"relative XDG":   {map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "linux", 1000, "/h/.local/state/wirebird"},
		"home":           {map[string]string{"HOME": "/h"}, "darwin", 501, "/h/.local/state/wirebird"},
		"Windows":        {map[string]string{"LOCALAPPDATA": "/c/Local"}, "windows", -1, "/c/Local/wirebird"},
		"no environment": {nil, "linux", 1000, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := defaultData(tt.env, tt.goos, tt.euid); got != filepath.FromSlash(tt.want) {
				t.Errorf("got %q; want %q", got, tt.want)
			}
		})
	}
}
