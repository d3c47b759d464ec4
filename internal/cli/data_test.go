package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/journal"
	"github.com/wirebird/wirebird/internal/session"
)

// runData runs a subcommand of data.
func runData(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	t.Setenv("WIREBIRD_CONFIG", "")
	var o, e bytes.Buffer
	cmd := newData(streams{strings.NewReader(""), &o, &e})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// storeSome fills a data directory.
func storeSome(t *testing.T, data string) *journal.Disk {
	t.Helper()
	d, err := journal.Open(journal.Options{Dir: filepath.Join(data, journalDir)})
	if err != nil {
		t.Fatal(err)
	}
	msg := &session.Message{Topic: "a", Payload: []byte("x")}
	done := make(chan error, 1)
	d.Submit(0, []journal.Op{
		{Kind: journal.PutSession, SID: 1, Name: "me"},
		{Kind: journal.Publish, MID: 1, Msg: msg, Targets: []journal.Target{{SID: 1, QoS: 1}}},
		{Kind: journal.PutRetained, Msg: msg},
	}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDataIsCheckedBackedUpAndRestored(t *testing.T) {
	dir := t.TempDir()
	data, backup, again := filepath.Join(dir, "data"), filepath.Join(dir, "backup"), filepath.Join(dir, "again")
	if err := storeSome(t, data).Close(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args []string
		says string
	}{
		{[]string{"check", "--data", data}, "\nok\n"},
		{[]string{"stats", "--data", data}, "waiting messages      1\n"},
		{[]string{"backup", "--data", data, backup}, "backed up "},
		{[]string{"restore", "--data", again, backup}, "restored "},
		{[]string{"check", "--json", "--data", again}, `"sessions":1,"subscriptions":0,"waiting":1,"bodies":0,"retained":1,`},
	} {
		out, _, err := runData(t, step.args...)
		if err != nil || !strings.Contains(out, step.says) {
			t.Errorf("%q: %v\n%s", step.args, err, out)
		}
	}
	for _, step := range []struct {
		args []string
		says string
	}{
		{[]string{"backup", "--data", data, backup}, "is there already"},
		{[]string{"restore", "--data", again, backup}, "is not empty"},
		{[]string{"restore", "--data", again, data}, "holds no complete backup"},
		{[]string{"check", "--data", dir}, "there is no data in"},
		{[]string{"backup", "--data", dir, filepath.Join(dir, "x")}, "there is no data in"},
		{[]string{"backup", "--data", data}, "want one directory, not 0 arguments"},
	} {
		if _, _, err := runData(t, step.args...); err == nil || !strings.Contains(err.Error(), step.says) {
			t.Errorf("%q: %v", step.args, err)
		}
	}
}

func TestDataTellsDamage(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := storeSome(t, data).Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(data, journalDir, "MANIFEST-*"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	if err := os.Truncate(tables[0], 3); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runData(t, "check", "--data", data); err == nil || !strings.Contains(err.Error(), "data is damaged") {
		t.Errorf("%v", err)
	}
}

func TestARunningBrokerMakesTheBackupItself(t *testing.T) {
	dir := t.TempDir()
	data, backup := filepath.Join(dir, "data"), filepath.Join(dir, "backup")
	d := storeSome(t, data)
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := d.Backup(r.FormValue("dir"))
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/backup":
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, err.Error(), http.StatusConflict)
		default:
			_ = json.NewEncoder(w).Encode(m)
		}
	}))
	address := strings.TrimPrefix(admin.URL, "http://")
	if _, _, err := runData(t, "check", "--data", data); err == nil || !strings.Contains(err.Error(), "stop the broker first") {
		t.Errorf("check: %v", err)
	}
	out, _, err := runData(t, "backup", "--json", "--data", data, "--admin", address, backup)
	if err != nil || !strings.Contains(out, `"files":`) {
		t.Errorf("backup: %v\n%s", err, out)
	}
	if _, _, err := runData(t, "backup", "--data", data, "--admin", address, backup); err == nil || !strings.Contains(err.Error(), "made no backup: 409 Conflict: back up: "+backup+" is there already") {
		t.Errorf("second backup: %v", err)
	}
	if _, _, err := runData(t, "backup", "--data", data, "--admin", "off", backup); err == nil || !strings.Contains(err.Error(), "its admin address is off") {
		t.Errorf("no admin: %v", err)
	}
	admin.Close()
	if _, _, err := runData(t, "backup", "--data", data, "--admin", address, backup); err == nil || !strings.Contains(err.Error(), "no broker answers") {
		t.Errorf("nobody there: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _, err := runData(t, "restore", "--data", filepath.Join(dir, "again"), backup); err != nil || !strings.HasPrefix(out, "restored ") {
		t.Errorf("restore: %v\n%s", err, out)
	}
}
