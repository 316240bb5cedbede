// SPDX-License-Identifier: GPL-3.0-or-later

package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func start(t *testing.T, dial Dialer) (address string, ended <-chan error) {
	t.Helper()
	listener := listen(t)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { done <- Serve(ctx, listener, dial) }()
	return listener.Addr().String(), done
}

func TestBothHalvesAreForwarded(t *testing.T) {
	server := listen(t)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		// The answer is made only when the client has said that it is done.
		question, _ := io.ReadAll(conn)
		_, _ = io.WriteString(conn, strings.ToUpper(string(question)))
	}()
	address, _ := start(t, func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", server.Addr().String())
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || string(answer) != "HELLO" {
		t.Errorf("got %q, %v; want HELLO", answer, err)
	}
}

func TestConnectionIsClosedWhenTheOtherSideIsAway(t *testing.T) {
	address, ended := start(t, func(context.Context) (net.Conn, error) { return nil, errors.New("away") })
	for range 2 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("got %q, %v; want the end", rest, err)
		}
		conn.Close()
	}
	select {
	case err := <-ended:
		t.Errorf("forwarding ended: %v", err)
	default:
	}
}

func TestMissingNamespaceIsNamed(t *testing.T) {
	if _, err := InNamespace("no-such-namespace", "127.0.0.1:1")(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-namespace") {
		t.Errorf("got %v, want an error that names the namespace", err)
	}
}
