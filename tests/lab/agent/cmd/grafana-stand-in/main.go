// SPDX-License-Identifier: GPL-3.0-or-later

// Command grafana-stand-in answers Grafana's documented HTTP API for
// provisioned Prometheus data sources. It is not Grafana: see package grafana.
//
// The token that clients must send comes from the environment variable
// GF_STAND_IN_TOKEN.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"meshops.example/lab/agent/internal/grafana"
)

const tokenVariable = "GF_STAND_IN_TOKEN"

func main() {
	listen := flag.String("listen", ":3000", "`address` to listen on")
	dir := flag.String("provisioning", "/etc/grafana/provisioning/datasources", "`directory` of data source files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "grafana-stand-in:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, dir string) error {
	token := os.Getenv(tokenVariable)
	if token == "" {
		return fmt.Errorf("%s is not set: it must hold the token that clients send", tokenVariable)
	}
	standIn, err := grafana.NewServer(token, dir)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: standIn.Handler(), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	slog.Info("a stand-in for Grafana listens", "address", listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
