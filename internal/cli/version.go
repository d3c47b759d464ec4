package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/wirebird/wirebird/packet"
)

// versionInfo is what `version --json` prints.
type versionInfo struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"`
	Modified bool     `json:"modified"`
	Date     string   `json:"date"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	MQTT     []string `json:"mqtt"`
}

func newVersion(s streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Example: `  wirebird version
  wirebird version --json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return json.NewEncoder(s.out).Encode(readVersion(debug.ReadBuildInfo()))
			}
			return printVersion(s.out)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// printVersion is for people.
func printVersion(w io.Writer) error {
	v := readVersion(debug.ReadBuildInfo())
	commit := v.Commit
	if v.Modified {
		commit += " (modified)"
	}
	_, err := fmt.Fprintf(w, "wirebird %s\ncommit   %s\ndate     %s\ngo       %s %s\nmqtt     %s, %s, %s\n",
		v.Version, commit, v.Date, v.Go, v.Platform, v.MQTT[0], v.MQTT[1], v.MQTT[2])
	return err
}

func readVersion(info *debug.BuildInfo, ok bool) versionInfo {
	v := versionInfo{
		Version:  "unknown",
		Commit:   "unknown",
		Date:     "unknown",
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		MQTT:     []string{packet.V31.String(), packet.V311.String(), packet.V5.String()},
	}
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
