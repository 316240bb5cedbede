// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Stream names a container's output in its log.
type Stream string

// The streams of a container.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// logLineSize is the longest piece of output that is one line of a log. Longer
// lines are cut into parts, as container runtimes do.
const logLineSize = 16 << 10

// LogWriter writes the log of one run of a container, in the format of the
// Container Runtime Interface: "<RFC 3339 time> <stream> <F|P> <text>", where
// P marks a part of a line that goes on.
type LogWriter struct {
	mu   sync.Mutex
	file *os.File
}

// LogPath names the log of the run with the given restart count.
func LogPath(dir string, restart int32) string {
	return filepath.Join(dir, strconv.Itoa(int(restart))+".log")
}

// CreateLog opens the log of a new run and forgets those older than the previous one.
func CreateLog(dir string, restart int32) (*LogWriter, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	if restart > 1 {
		if err := os.Remove(LogPath(dir, restart-2)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove old log: %w", err)
		}
	}
	file, err := os.Create(LogPath(dir, restart))
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	return &LogWriter{file: file}, nil
}

// Copy writes what it reads until the end. It keeps reading when the log
// cannot be written (a full disk), so that the container does not hang.
func (w *LogWriter) Copy(stream Stream, from io.Reader) {
	reader := bufio.NewReaderSize(from, logLineSize)
	for {
		line, readErr := reader.ReadSlice('\n')
		if len(line) > 0 {
			w.write(stream, line)
		}
		if readErr != nil && !errors.Is(readErr, bufio.ErrBufferFull) {
			return
		}
	}
}

func (w *LogWriter) write(stream Stream, line []byte) {
	tag := "P"
	if line[len(line)-1] == '\n' {
		tag, line = "F", line[:len(line)-1]
	}
	entry := make([]byte, 0, len(line)+64)
	entry = time.Now().UTC().AppendFormat(entry, logTimeFormat)
	entry = fmt.Appendf(entry, " %s %s %s\n", stream, tag, line)
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.file.Write(entry)
}

// Close ends the log.
func (w *LogWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file.Close()
}

// logTimeFormat has a fixed width, unlike time.RFC3339Nano.
const logTimeFormat = "2006-01-02T15:04:05.000000000Z07:00"
