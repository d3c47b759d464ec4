// Package server builds, runs, reloads and stops one node.
//
// It is the only place that knows everything: it turns a configuration into a broker
// with its listeners, decides who may connect, holds the data directory, and serves
// health, metrics and profiles to the operator. It parses no arguments, reads no
// configuration file and waits for no signal; the command line does that.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wirebird/wirebird/broker"
	"github.com/wirebird/wirebird/internal/auth"
	"github.com/wirebird/wirebird/internal/config"
	"github.com/wirebird/wirebird/internal/metrics"
	"github.com/wirebird/wirebird/internal/shard"
	"github.com/wirebird/wirebird/internal/transport"
)

// Server is one node.
type Server struct {
	cfg     config.Config
	log     *slog.Logger
	version string
	access  *access
	certs   *transport.Certificates // nil without TLS
	notify  notifier
	phase   atomic.Int32

	backingUp atomic.Bool

	// Set by start, before anything else runs.
	broker    *broker.Broker
	lock      *os.File // nil with InMemory
	disk      openDisk
	admin     *admin // nil without an admin address
	endScrape context.CancelFunc
	shards    int
}

// The phases of a Server's life, which /readyz tells.
const (
	phaseStarting int32 = iota
	phaseReady
	phaseStopping
)

// New reads the files that cfg names: users and certificates. It opens nothing that
// would have to be closed, so it is also the check of a configuration.
func New(cfg config.Config, log *slog.Logger, version string) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log, version: version, notify: notifier(os.Getenv("NOTIFY_SOCKET"))}
	var err error
	if s.access, err = newAccess(cfg); err != nil {
		return nil, err
	}
	if cfg.TLSCert != "" {
		if s.certs, err = transport.LoadCertificates(cfg.TLSCert, cfg.TLSKey); err != nil {
			return nil, fmt.Errorf("%w; check --tls-cert and --tls-key", err)
		}
	}
	return s, nil
}

// Run serves until ctx ends, then says goodbye to the clients, which may take
// cfg.ShutdownTimeout. ready is called once all addresses are open; it may be nil. The
// error says why the server could not start; an end that was asked for is none. A
// Server runs once.
func (s *Server) Run(ctx context.Context, ready func(Summary)) error {
	if err := s.start(); err != nil {
		return err
	}
	sum := s.summary()
	s.log.Info("ready", "version", s.version, "data", sum.dataText(), "admin", sum.adminText(),
		"shards", s.shards, "driver", shard.Driver)
	s.tell("READY=1")
	if ready != nil {
		ready(sum)
	}
	keepPace(ctx)
	newTrimmer().run(ctx)
	s.stop(context.WithoutCancel(ctx))
	return nil
}

// start opens everything, or nothing if it returns an error.
func (s *Server) start() (err error) {
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if !s.cfg.InMemory {
		if s.lock, err = lockData(s.cfg.Data); err != nil {
			return err
		}
	}
	o := s.brokerOptions(raiseFileLimit())
	s.shards = o.Shards
	raiseProcessors(o.Shards)
	if !s.cfg.InMemory {
		disk, err := openJournal(s.cfg, s.log)
		if err != nil {
			return err
		}
		s.disk.open(disk)
		o.Journal = disk
	}
	if s.broker, err = broker.New(o); err != nil {
		return err
	}
	if err = s.recover(); err != nil {
		return err
	}
	if err = s.startAdmin(); err != nil {
		return err
	}
	if err = s.broker.Start(); err != nil {
		return fmt.Errorf("start the event loops: %w", err)
	}
	for _, l := range s.cfg.Listen {
		if err = s.listen(l); err != nil {
			return err
		}
	}
	s.phase.Store(phaseReady)
	return nil
}

// listen opens one address for clients.
func (s *Server) listen(l config.Listener) error {
	o := broker.ListenOptions{URL: l.URL, AllowAnonymous: s.cfg.Anonymous(l), Origins: origins(s.cfg, l)}
	if s.certs != nil {
		o.TLS = s.certs.Config()
	}
	opened, err := s.broker.Listen(o)
	if err != nil {
		return listenError(err, "--listen")
	}
	s.log.Info("listening", "url", opened.URL, "anonymous", o.AllowAnonymous)
	return nil
}

// startAdmin opens the operator's address, if there is one.
func (s *Server) startAdmin() error {
	if s.cfg.Admin == "" {
		return nil
	}
	scrapes, cancel := context.WithCancel(context.Background())
	s.endScrape = cancel
	registry := prometheus.NewRegistry()
	if err := metrics.Register(registry, s.version, func(ctx context.Context) (broker.Stats, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(scrapes, cancel)()
		return s.broker.Stats(ctx)
	}); err != nil {
		return err
	}
	if !s.cfg.InMemory {
		if err := metrics.RegisterJournal(registry, s.disk.stats); err != nil {
			return err
		}
	}
	a, err := listenAdmin(s.cfg.Admin, s.adminHandler(registry), s.log)
	if err != nil {
		return listenError(err, "--admin")
	}
	s.admin = a
	if !a.loopback() {
		s.log.Warn("other machines can reach the admin address, which asks nobody for a password", "admin", a.url())
	}
	return nil
}

// stop ends a server that start has started. The admin address goes last, so that an
// operator can see what a slow shutdown waits for.
func (s *Server) stop(ctx context.Context) {
	s.phase.Store(phaseStopping)
	s.tell("STOPPING=1")
	s.log.Info("shutting down", "timeout", s.cfg.ShutdownTimeout.String())
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ShutdownTimeout)
	defer cancel()
	if err := s.broker.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("clients did not take all that was written to them in time; their connections were cut")
	} else if err != nil {
		s.log.Error("shut down the broker", "error", err)
	}
	s.close()
	s.log.Info("stopped")
}

// close releases what start has opened so far.
func (s *Server) close() {
	if s.broker != nil && s.broker.Running() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // there was no time for anybody to connect
		_ = s.broker.Shutdown(ctx)
	}
	if err := s.disk.close(); err != nil {
		s.log.Error("close the journal", "error", err)
	}
	if s.endScrape != nil {
		s.endScrape() // nobody answers a scrape any more
	}
	if s.admin != nil {
		s.admin.close()
	}
	if s.lock != nil {
		unlockData(s.lock)
	}
}

// Reload reads the files of users and certificates again and logs what came of it. What
// cannot be read stays as it was. Clients that are connected stay connected. It may be
// called at any time.
func (s *Server) Reload() {
	running := s.phase.Load() == phaseReady
	if running {
		s.tell(reloading())
	}
	files := s.access.files(s.cfg)
	if s.certs != nil {
		files = append(files, file{setting: "tls_cert", path: s.cfg.TLSCert, reload: s.certs.Reload})
	}
	for _, f := range files {
		if err := f.reload(); err != nil {
			s.log.Error("reload, the old stays", "setting", f.setting, "error", err)
			continue
		}
		s.log.Info("reloaded", "setting", f.setting, "path", f.path)
	}
	if running {
		s.tell("READY=1")
	}
}

// file is one that Reload reads.
type file struct {
	setting, path string
	reload        func() error
}

// tell says state to systemd, if it started us.
func (s *Server) tell(state string) {
	if err := s.notify.send(state); err != nil {
		s.log.Warn("notify systemd", "error", err)
	}
}

// brokerOptions turns the configuration into the broker's. files is the number of file
// descriptors that the process may have, 0 for no limit.
func (s *Server) brokerOptions(files int) broker.Options {
	l := s.cfg.Limits
	shards := s.cfg.Shards
	if shards == 0 {
		shards = min(cpus, maxShards)
	}
	o := broker.Options{
		Shards: shards,
		Limits: broker.Limits{
			MaxPacketSize:              int(l.MaxPacketSize),
			MaxTopicLevels:             l.MaxTopicLevels,
			MaxTopicLength:             l.MaxTopicLength,
			MaxClientIDLength:          l.MaxClientIDLength,
			MaxConnections:             l.MaxConnections,
			MaxConnectRate:             noneIsNegative(l.MaxConnectRate),
			MaxTakeoverRate:            noneIsNegative(l.MaxTakeoverRate),
			MaxSessions:                l.MaxSessions,
			MaxSubscriptions:           l.MaxSubscriptions,
			MaxSubscriptionLevels:      l.MaxSubscriptionLevels,
			MaxSubscriptionLevelsTotal: l.MaxSubscriptionLevelsTotal,
			MaxSubscriptionIDs:         l.MaxSubscriptionIDs,
			MaxUserProperties:          l.MaxUserProperties,
			MaxInflight:                l.MaxInflight,
			ReceiveMaximum:             l.ReceiveMaximum,
			TopicAliasMaximum:          noneIsNegative(l.TopicAliasMaximum),
			MaxQueuedMessages:          l.MaxQueuedMessages,
			MaxQueuedBytes:             int64(l.MaxQueuedBytes),
			MaxQueuedMessagesTotal:     int64(l.MaxQueuedMessagesTotal),
			MaxQueuedBytesTotal:        int64(l.MaxQueuedBytesTotal),
			MaxQueueAge:                l.MaxQueueAge,
			DropOldest:                 l.QueuePolicy == "drop_oldest",
			MaxRetainedMessages:        l.MaxRetainedMessages,
			MaxRetainedBytes:           int64(l.MaxRetainedBytes),
			OutboundBuffer:             int(l.OutboundBuffer),
			HandshakeTimeout:           l.HandshakeTimeout,
			PacketTimeout:              l.PacketTimeout,
			MaxKeepAlive:               l.MaxKeepAlive,
			MaxSessionExpiry:           l.MaxSessionExpiry,
			MaxQoS:                     noneIsNegative(l.MaxQoS),
			RetainUnavailable:          l.MaxRetainedMessages == 0,
		},
		Hooks:               s.access.hooks(),
		Logger:              s.log,
		SysInterval:         s.cfg.SysInterval,
		Version:             "wirebird " + s.version,
		ResponseInformation: s.cfg.ResponseInformation,
	}
	o.Limits.MaxConnections = connectionLimit(l.MaxConnections, files)
	if want := l.MaxConnections; files > 0 && want > files-reservedFiles {
		s.log.Warn("limits.max_connections is more than the file descriptors allow; raise the limit of open files",
			"max_connections", want, "open_files", files)
	}
	return o
}

const (
	maxShards = 64
	// reservedFiles are descriptors kept for other things than clients, the connections
	// among them that are above the limit and still to be told so.
	reservedFiles = 80
	// mostConnections is the largest limit that the broker takes.
	mostConnections = 1 << 30
)

// connectionLimit is the number of connections for a process with so many descriptors.
func connectionLimit(want, files int) int {
	if want > 0 || files == 0 {
		return want
	}
	return min(max(1, files-reservedFiles), mostConnections)
}

// noneIsNegative turns the configuration's 0, which means 0, into the broker's -1; there
// 0 means the default.
func noneIsNegative(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// summary is what the server is once it has started.
func (s *Server) summary() Summary {
	sum := Summary{Version: s.version, Data: s.cfg.Data, Durability: s.cfg.Durability}
	for _, l := range s.broker.Listeners() {
		sum.Listeners = append(sum.Listeners, s.summarize(l))
	}
	if s.cfg.InMemory {
		sum.Data = ""
	}
	if s.admin != nil {
		sum.Admin = s.admin.url()
	}
	return sum
}

func newAccess(cfg config.Config) (*access, error) {
	a := &access{secret: randomBytes(secretBytes)}
	var err error
	if cfg.PasswordFile != "" {
		if a.passwords, err = auth.LoadPasswords(cfg.PasswordFile); err != nil {
			return nil, fmt.Errorf("password_file: %w", err)
		}
	}
	if cfg.ScramFile != "" {
		if a.scram, err = auth.LoadScram(cfg.ScramFile); err != nil {
			return nil, fmt.Errorf("scram_file: %w", err)
		}
	}
	return a, nil
}
