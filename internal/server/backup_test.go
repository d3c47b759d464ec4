package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wirebird/wirebird/internal/journal"
)

// post asks the admin server for a backup.
func (n *node) post(dir string, header http.Header) (status int, body string) {
	n.t.Helper()
	req, err := http.NewRequest(http.MethodPost, n.Admin+"/backup?"+url.Values{"dir": {dir}}.Encode(), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func startDurable(t *testing.T) *node {
	t.Helper()
	cfg := loopback()
	cfg.InMemory, cfg.Data, cfg.Admin = false, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0"
	return start(t, cfg)
}

func TestBackupOfARunningBroker(t *testing.T) {
	n := startDurable(t)
	dir := filepath.Join(t.TempDir(), "copy")
	status, body := n.post(dir, nil)
	var answered journal.Manifest
	if err := json.Unmarshal([]byte(body), &answered); status != http.StatusOK || err != nil {
		t.Fatalf("%d %s, %v; want 200 and a manifest", status, body, err)
	}
	stored, err := journal.ReadManifest(nil, dir)
	if err != nil || len(stored.Files) == 0 || len(stored.Files) != len(answered.Files) {
		t.Errorf("the copy holds %d files, the answer names %d; %v", len(stored.Files), len(answered.Files), err)
	}
	if status, body := n.post(dir, nil); status != http.StatusInternalServerError || !strings.Contains(body, "is there already") {
		t.Errorf("a second time to the same place: %d %q; want 500", status, body)
	}
}

func TestBackupIsRefused(t *testing.T) {
	durable, inMemory := startDurable(t), startAdmin(t)
	dir := filepath.Join(t.TempDir(), "copy")
	for name, tt := range map[string]struct {
		n      *node
		dir    string
		header http.Header
		status int
		body   string
	}{
		"no directory":       {durable, "", nil, 400, "absolute path"},
		"relative":           {durable, "copy", nil, 400, "absolute path"},
		"web page":           {durable, dir, http.Header{"Origin": {"http://evil.example"}}, 403, "browser"},
		"web page, no-cors":  {durable, dir, http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403, "browser"},
		"nothing to back up": {inMemory, dir, nil, 409, "keeps nothing on disk"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := tt.n.post(tt.dir, tt.header); status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("%d %q; want %d and %q", status, body, tt.status, tt.body)
			}
		})
	}
}

func TestJournalIsAmongTheMetricsIfThereIsOne(t *testing.T) {
	const name = "\nwirebird_journal_failed 0\n"
	if _, body := startDurable(t).get("/metrics"); !strings.Contains(body, name) {
		t.Errorf("the metrics lack %q", name)
	}
	if _, body := startAdmin(t).get("/metrics"); strings.Contains(body, "wirebird_journal") {
		t.Error("a broker without a journal has metrics of one")
	}
}
