// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// version is what clients see; the suffix says what it is.
const version = "12.2.0-meshops-stand-in"

// standInHeader is on every answer, so that nobody takes it for Grafana's.
const standInHeader = "X-Grafana-Stand-In"

// Server answers Grafana's HTTP API.
type Server struct {
	token     string
	dir       string
	transport *http.Transport

	mu      sync.Mutex
	sources []*DataSource
}

// NewServer reads the provisioning files of dir. Requests need the token.
func NewServer(token, dir string) (*Server, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	server := &Server{
		token: token,
		dir:   dir,
		// Grafana's defaults: [dataproxy] in conf/defaults.ini.
		transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConns:        100,
		},
	}
	return server, server.reload()
}

func (s *Server) reload() error {
	sources, err := Load(s.dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources = sources
	return nil
}

// Handler returns the API's handler.
func (s *Server) Handler() http.Handler {
	private := http.NewServeMux()
	private.HandleFunc("GET /api/datasources", s.list)
	private.HandleFunc("GET /api/datasources/uid/{uid}", s.withSource(s.details))
	private.HandleFunc("GET /api/datasources/uid/{uid}/health", s.withSource(s.health))
	private.HandleFunc("/api/datasources/proxy/uid/{uid}/{path...}", s.withSource(s.proxy))
	private.HandleFunc("POST /api/ds/query", s.query)
	private.HandleFunc("POST /api/admin/provisioning/datasources/reload", s.reloadRequested)
	private.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { writeMessage(w, http.StatusNotFound, "Not found") })

	public := http.NewServeMux()
	public.HandleFunc("GET /api/health", s.healthz)
	public.Handle("/", s.authenticated(private))
	return logged(public)
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"database": "ok", "version": version, "commit": "none"})
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]map[string]any, 0, len(s.sources))
	for _, source := range s.sources {
		items = append(items, source.listItem())
	}
	writeJSON(w, http.StatusOK, items)
}

func (s *Server) details(w http.ResponseWriter, _ *http.Request, source *DataSource) {
	writeJSON(w, http.StatusOK, source.details())
}

func (s *Server) reloadRequested(w http.ResponseWriter, _ *http.Request) {
	if err := s.reload(); err != nil {
		writeMessage(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeMessage(w, http.StatusOK, "Datasources config reloaded")
}

func (s *Server) find(uid string) *DataSource {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, source := range s.sources {
		if source.UID == uid {
			return source
		}
	}
	return nil
}

func (s *Server) withSource(next func(http.ResponseWriter, *http.Request, *DataSource)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		source := s.find(r.PathValue("uid"))
		if source == nil {
			writeMessage(w, http.StatusNotFound, "Data source not found")
			return
		}
		next(w, r, source)
	}
}

func (s *Server) client(source *DataSource) *http.Client {
	return &http.Client{Transport: &dataSourceTransport{source: source, next: s.transport}, Timeout: 30 * time.Second}
}

func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case !isBearer:
			writeUnauthorized(w, "Unauthorized", "auth.unauthorized")
		case subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1:
			writeUnauthorized(w, "Invalid API key", "api-key.invalid")
		default:
			// The token is for Grafana and must not reach a data source.
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
		}
	})
}

func writeUnauthorized(w http.ResponseWriter, message, id string) {
	writeJSON(w, http.StatusUnauthorized, map[string]any{
		"extra": nil, "message": message, "messageId": id, "statusCode": http.StatusUnauthorized, "traceID": "",
	})
}

func writeMessage(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"message": message, "traceID": ""})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.Warn("cannot send answer", "error", err)
	}
}

// logged marks and logs each answer.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(standInHeader, "meshops")
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		begun := time.Now()
		next.ServeHTTP(recorder, r)
		slog.Info("Request Completed", "method", r.Method, "path", r.URL.Path, "status", recorder.status,
			"remote_addr", r.RemoteAddr, "duration", time.Since(begun).Round(time.Millisecond))
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the real writer.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
