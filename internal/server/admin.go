package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the admin server. Whoever may reach it is trusted, but a forgotten
// connection shall not stay for ever.
const (
	adminHeaderTimeout = 5 * time.Second
	adminReadTimeout   = 10 * time.Second
	adminWriteTimeout  = 5 * time.Minute // a profile may run that long
	adminIdleTimeout   = time.Minute
	adminHeaderBytes   = 16 << 10
	adminCloseTimeout  = time.Second
)

// admin is the running HTTP server of the operator.
type admin struct {
	srv  *http.Server
	ln   net.Listener
	done chan struct{} // closed when Serve has returned
}

func listenAdmin(address string, h http.Handler, log *slog.Logger) (*admin, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	a := &admin{ln: ln, done: make(chan struct{}), srv: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: adminHeaderTimeout,
		ReadTimeout:       adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       adminIdleTimeout,
		MaxHeaderBytes:    adminHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	go func() {
		defer close(a.done)
		if err := a.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve the admin address", "error", err)
		}
	}()
	return a, nil
}

func (a *admin) url() string { return "http://" + a.ln.Addr().String() }

func (a *admin) loopback() bool {
	tcp, ok := a.ln.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// close lets answers finish that are short, and cuts the others.
func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), adminCloseTimeout)
	defer cancel()
	if err := a.srv.Shutdown(ctx); err != nil {
		_ = a.srv.Close()
	}
	<-a.done
}

const adminIndex = `wirebird

/healthz      200 while the process lives
/readyz       200 while clients are served, else 503 and why
/metrics      figures in the Prometheus text format
/backup       POST ?dir=DIR copies what is stored to DIR, from this machine only
/debug/pprof/ profiles of the Go runtime
`

// adminHandler answers the operator.
func (s *Server) adminHandler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, adminIndex) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("POST /backup", s.backup)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// readyz tells whether clients should be sent here.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	stored, _ := s.disk.stats(r.Context()) // without a journal nothing has failed
	status, text := readiness(s.phase.Load(), stored.Failed)
	answer(w, status, text+"\n")
}

// readiness is the answer of /readyz; failed is why the journal stores nothing any more.
func readiness(phase int32, failed error) (status int, text string) {
	switch {
	case phase == phaseStarting:
		return http.StatusServiceUnavailable, "starting: waiting for the listeners to open"
	case phase == phaseStopping:
		return http.StatusServiceUnavailable, "shutting down: waiting for clients to take what was written to them"
	case failed != nil:
		return http.StatusServiceUnavailable, "the journal has failed: " + failed.Error()
	}
	return http.StatusOK, "ok"
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the asker has left; nobody is told
}
