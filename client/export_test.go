package client

import (
	"os"

	"github.com/wirebird/wirebird/internal/outbox"
)

// FailWith makes the files of an outbox fail: broken is asked before each operation.
func (o *OutboxOptions) FailWith(broken func() error) {
	o.create = func(path string) (outbox.File, error) {
		if err := broken(); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		return brokenFile{f, broken}, err
	}
}

type brokenFile struct {
	*os.File
	broken func() error
}

func (f brokenFile) Write(b []byte) (int, error) {
	if err := f.broken(); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f brokenFile) Sync() error {
	if err := f.broken(); err != nil {
		return err
	}
	return f.File.Sync()
}
