// SPDX-License-Identifier: GPL-3.0-or-later

package kubeletapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"meshops.example/lab/agent/internal/container"
)

func (a *api) logs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	options, err := logOptions(query, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	previous, err := flag(query, "previous")
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	out := &flushingWriter{response: w}
	err = a.pods.Logs(r.Context(), r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"), previous, options, out)
	switch {
	case err == nil:
	case out.begun:
		slog.Warn("log broke off", "pod", r.PathValue("pod"), "error", err)
	default:
		writeError(w, err)
	}
}

func logOptions(query url.Values, now time.Time) (container.LogOptions, error) {
	var options container.LogOptions
	var err error
	if options.Follow, err = flag(query, "follow"); err != nil {
		return options, err
	}
	if options.Timestamps, err = flag(query, "timestamps"); err != nil {
		return options, err
	}
	if options.TailLines, err = number(query, "tailLines"); err != nil {
		return options, err
	}
	if options.LimitBytes, err = number(query, "limitBytes"); err != nil {
		return options, err
	}
	seconds, err := number(query, "sinceSeconds")
	if err != nil {
		return options, err
	}
	if seconds != nil {
		since := now.Add(-time.Duration(*seconds) * time.Second)
		options.Since = &since
	}
	if text := query.Get("sinceTime"); text != "" {
		since, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return options, fmt.Errorf("sinceTime: %w", err)
		}
		options.Since = &since
	}
	switch query.Get("stream") {
	case "", corev1.LogStreamAll:
	case corev1.LogStreamStdout:
		options.Stream = container.Stdout
	case corev1.LogStreamStderr:
		options.Stream = container.Stderr
	default:
		return options, fmt.Errorf("stream: unknown value %q", query.Get("stream"))
	}
	return options, nil
}

func flag(query url.Values, name string) (bool, error) {
	text := query.Get(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s: %q is neither true nor false", name, text)
	}
	return value, nil
}

func number(query url.Values, name string) (*int64, error) {
	text := query.Get(name)
	if text == "" {
		return nil, nil
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < 0 {
		return nil, fmt.Errorf("%s: %q is not a number of zero or more", name, text)
	}
	return &value, nil
}

// flushingWriter sends each piece at once, as a follower expects.
type flushingWriter struct {
	response http.ResponseWriter
	begun    bool
}

func (f *flushingWriter) Write(data []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.response.Header().Set("Content-Type", "text/plain")
	}
	written, err := f.response.Write(data)
	if err != nil {
		return written, err
	}
	return written, http.NewResponseController(f.response).Flush()
}
