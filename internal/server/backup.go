package server

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/wirebird/wirebird/internal/journal"
)

// backup copies what is stored to a directory of this machine while the broker runs, and
// answers with the copy's manifest. It writes where it is told, which is why neither other
// machines nor web pages may ask for it.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	dir := r.URL.Query().Get("dir")
	switch {
	case !fromThisMachine(r):
		answer(w, http.StatusForbidden, "a backup is asked for on the machine where it shall be\n")
		return
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		answer(w, http.StatusForbidden, "a backup is not asked for by a browser\n")
		return
	case !filepath.IsAbs(dir):
		answer(w, http.StatusBadRequest, "dir must be an absolute path, as in POST /backup?dir=/var/backups/wirebird\n")
		return
	case !s.backingUp.CompareAndSwap(false, true):
		answer(w, http.StatusConflict, "another backup is being made\n")
		return
	}
	defer s.backingUp.Store(false)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // it may take long, and ends by itself
	began := time.Now()
	var m journal.Manifest
	err := s.disk.use(func(d *journal.Disk) (err error) {
		m, err = d.Backup(dir)
		return err
	})
	switch {
	case errors.Is(err, errNoJournal):
		answer(w, http.StatusConflict, err.Error()+"\n")
		return
	case err != nil:
		s.log.Error("back up", "dir", dir, "error", err)
		answer(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	s.log.Info("backed up", "dir", dir, "files", len(m.Files), "size_bytes", m.Bytes(),
		"took", time.Since(began).Round(time.Millisecond).String())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(m) // the asker has left; the log tells
}

// fromThisMachine reports whether r comes from a loopback address, or from the very
// address that it has come to.
func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := peer.Addr().Unmap()
	if ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	own, err := netip.ParseAddrPort(local.String())
	return err == nil && own.Addr().Unmap() == ip
}
