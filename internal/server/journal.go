package server

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/journal"
)

// journalDir is the journal's place in the data directory.
const journalDir = "journal"

var durabilities = map[string]journal.Durability{"fsync": journal.Fsync, "os": journal.OS, "none": journal.None}

// openJournal opens what is stored.
func openJournal(cfg config.Config, log *slog.Logger) (*journal.Disk, error) {
	return journal.Open(journal.Options{
		Dir: filepath.Join(cfg.Data, journalDir), Durability: durabilities[cfg.Durability], Logger: log,
		OnFail: func(err error) {
			log.Error("the journal can store no more: QoS 1 and 2 messages are no longer acknowledged, QoS 0 goes on; make room or mend the disk, then start again", "error", err)
		},
	})
}

// recover brings back what the journal holds.
func (s *Server) recover() error {
	if s.cfg.InMemory {
		return nil
	}
	began := time.Now()
	stats, err := s.broker.Recover()
	if err != nil {
		return err
	}
	s.log.Info("recovered", "sessions", stats.Sessions, "subscriptions", stats.Subscriptions, "queued", stats.Waiting,
		"retained", stats.Retained, "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// openDisk is the journal for those who come from the admin address: they may use it
// while it is open, and it closes when the last of them is done.
type openDisk struct {
	mu    sync.Mutex
	disk  *journal.Disk  // guarded by mu; nil before open, after close and with InMemory
	users sync.WaitGroup // grows only with mu held and a disk
}

// errNoJournal is for who asks for a journal that is not there.
var errNoJournal = errors.New("there is no journal: the broker keeps nothing on disk, or is shutting down")

func (o *openDisk) open(d *journal.Disk) {
	o.mu.Lock()
	o.disk = d
	o.mu.Unlock()
}

// use calls f with the journal, which stays open until f returns.
func (o *openDisk) use(f func(*journal.Disk) error) error {
	o.mu.Lock()
	d := o.disk
	if d != nil {
		o.users.Add(1)
	}
	o.mu.Unlock()
	if d == nil {
		return errNoJournal
	}
	defer o.users.Done()
	return f(d)
}

// stats is the source of the journal's metrics.
func (o *openDisk) stats(context.Context) (s journal.DiskStats, err error) {
	err = o.use(func(d *journal.Disk) error {
		s = d.Stats()
		return nil
	})
	return s, err
}

// close waits for the users and closes the journal, if there is one.
func (o *openDisk) close() error {
	o.mu.Lock()
	d := o.disk
	o.disk = nil
	o.mu.Unlock()
	if d == nil {
		return nil
	}
	o.users.Wait()
	return d.Close()
}
