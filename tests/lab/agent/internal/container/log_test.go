// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

const written = `2026-11-24T12:00:00.000000001Z stdout F one
2026-11-24T12:00:01.000000000Z stderr F two
2026-11-24T12:00:02.000000000Z stdout P thr
2026-11-24T12:00:02.000000001Z stdout F ee
2026-11-24T12:00:03.000000000Z stdout F four
`

func readAll(t *testing.T, content string, options LogOptions) string {
	t.Helper()
	path := t.TempDir() + "/0.log"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	close(ended)
	var out bytes.Buffer
	if err := ReadLog(t.Context(), path, options, ended, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReadLog(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	since := time.Date(2026, 11, 24, 12, 0, 2, 0, time.UTC)
	for name, test := range map[string]struct {
		options LogOptions
		want    string
	}{
		"all":            {LogOptions{}, "one\ntwo\nthree\nfour\n"},
		"tail 1":         {LogOptions{TailLines: number(1)}, "four\n"},
		"tail 0":         {LogOptions{TailLines: number(0)}, ""},
		"tail many":      {LogOptions{TailLines: number(99)}, "one\ntwo\nthree\nfour\n"},
		"since":          {LogOptions{Since: &since}, "three\nfour\n"},
		"tail and since": {LogOptions{TailLines: number(1), Since: &since}, "four\n"},
		"limit":          {LogOptions{LimitBytes: number(6)}, "one\ntw"},
		"stderr":         {LogOptions{Stream: Stderr}, "two\n"},
		"timestamps": {
			LogOptions{Timestamps: true, TailLines: number(3)},
			"2026-11-24T12:00:02.000000000Z three\n2026-11-24T12:00:03.000000000Z four\n",
		},
	} {
		if got := readAll(t, written, test.options); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestTailOfALongLog(t *testing.T) {
	line := "2026-11-24T12:00:00.000000000Z stdout F " + strings.Repeat("x", 1000) + "\n"
	two := int64(2)
	got := readAll(t, strings.Repeat(line, 500), LogOptions{TailLines: &two})
	if count := strings.Count(got, "\n"); count != 2 || len(got) != 2*1001 {
		t.Errorf("got %d lines, %d bytes; want 2 lines, 2002 bytes", count, len(got))
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := t.TempDir()
	log, err := CreateLog(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("0123456789", 5000)
	log.Copy(Stdout, strings.NewReader("short\n\n"+long+"\nno end"))
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(LogPath(dir, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := readAll(t, string(content), LogOptions{}), "short\n\n"+long+"\nno end"; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	log, err := CreateLog(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	reader, writer := io.Pipe()
	go func() {
		writer.CloseWithError(ReadLog(context.Background(), LogPath(dir, 0), LogOptions{Follow: true}, ended, writer))
	}()
	log.Copy(Stdout, strings.NewReader("first\n"))
	buffer := make([]byte, 64)
	count, err := reader.Read(buffer)
	if got := string(buffer[:count]); err != nil || got != "first\n" {
		t.Fatalf("got %q, %v while the container runs", got, err)
	}
	log.Copy(Stdout, strings.NewReader("last\n"))
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	close(ended)
	rest, err := io.ReadAll(reader)
	if err != nil || string(rest) != "last\n" {
		t.Errorf("got %q, %v after its end", rest, err)
	}
}

func TestFollowEndsWithItsReader(t *testing.T) {
	path := t.TempDir() + "/0.log"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := ReadLog(ctx, path, LogOptions{Follow: true}, make(chan struct{}), io.Discard); err != nil {
		t.Error(err)
	}
}

func TestOnlyThePreviousLogIsKept(t *testing.T) {
	dir := t.TempDir()
	for restart := range int32(4) {
		log, err := CreateLog(dir, restart)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "2.log" || entries[1].Name() != "3.log" {
		t.Errorf("got %v, %v; want 2.log and 3.log", entries, err)
	}
}
