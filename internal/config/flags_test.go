package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/wirebird/wirebird/internal/config"
)

func flagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(fs)
	return fs
}

func TestFlagsGivenAreCollected(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want []config.KeyValue
	}{
		"none": {nil, nil},
		"each kind": {
			[]string{"--shards", "2", "--in-memory", "--allow-anonymous=false", "--config", "x.yaml", "--data="},
			[]config.KeyValue{
				{Key: "data", Value: "", From: "--data"},
				{Key: "in_memory", Value: "true", From: "--in-memory"},
				{Key: "allow_anonymous", Value: "false", From: "--allow-anonymous"},
				{Key: "shards", Value: "2", From: "--shards"},
			},
		},
		"repeated": {
			[]string{"--listen", "tcp://:1", "--listen=ws://:2"},
			[]config.KeyValue{
				{Key: "listen", Value: "tcp://:1", From: "--listen"},
				{Key: "listen", Value: "ws://:2", From: "--listen"},
			},
		},
		"set": {
			[]string{"--log-level", "warn", "--set", "limits.max_qos=1", "--set", "response_information=a=b,c"},
			[]config.KeyValue{
				{Key: "limits.max_qos", Value: "1", From: "--set limits.max_qos"},
				{Key: "response_information", Value: "a=b,c", From: "--set response_information"},
				{Key: "log_level", Value: "warn", From: "--log-level"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := flagSet()
			if err := fs.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			if got := config.FromFlags(fs); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestSetWantsKeyAndValue(t *testing.T) {
	for _, arg := range []string{"limits.max_qos", "=1", ""} {
		if err := flagSet().Parse([]string{"--set", arg}); err == nil || !strings.Contains(err.Error(), "want KEY=VALUE") {
			t.Errorf("--set %q: error %v", arg, err)
		}
	}
}

func TestFlagsWithoutOthersNeedNoneOfThem(t *testing.T) {
	fs := pflag.NewFlagSet("other", pflag.ContinueOnError)
	fs.String("data", "", "")
	if err := fs.Parse([]string{"--data", "x"}); err != nil {
		t.Fatal(err)
	}
	want := []config.KeyValue{{Key: "data", Value: "x", From: "--data"}}
	if got := config.FromFlags(fs); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

func TestHelpOfTheFlags(t *testing.T) {
	golden(t, "flags.txt", flagSet().FlagUsages())
}

func TestReferenceNamesEverySettingOnce(t *testing.T) {
	fs := flagSet()
	env := make(map[string]bool)
	for _, k := range config.Reference() {
		if k.Help == "" || k.Want == "" || strings.Contains(k.Help, "`") || env[k.Env] {
			t.Errorf("%+v", k)
		}
		env[k.Env] = true
		if name, ok := strings.CutPrefix(k.Flag, "--set "); ok {
			if name != k.Name+"=..." {
				t.Errorf("%s has the flag %s", k.Name, k.Flag)
			}
		} else if fs.Lookup(strings.TrimPrefix(k.Flag, "--")) == nil {
			t.Errorf("%s has the flag %s, which does not exist", k.Name, k.Flag)
		}
	}
}
