// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// LogOptions select what ReadLog writes. They mean the same as the fields of
// Kubernetes' PodLogOptions; nil means no limit.
type LogOptions struct {
	Follow     bool
	Timestamps bool
	Since      *time.Time
	TailLines  *int64
	LimitBytes *int64
	// Stream is empty for both.
	Stream Stream
}

// followInterval is how often a followed log is looked at.
const followInterval = 100 * time.Millisecond

var errLimitReached = errors.New("limit of bytes reached")

// ReadLog writes the log at path to out. With Follow it goes on until ended is
// closed, or ctx is. As in Kubernetes the last lines are counted before Since
// and Stream leave any out.
func ReadLog(ctx context.Context, path string, options LogOptions, ended <-chan struct{}, out io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer file.Close()
	if options.TailLines != nil {
		if err := seekToTail(file, *options.TailLines); err != nil {
			return fmt.Errorf("seek in log: %w", err)
		}
	}
	printer := logPrinter{options: options, out: out, lineStart: true}
	reader := bufio.NewReaderSize(file, 2*logLineSize)
	var pending []byte
	for {
		final := !options.Follow || isClosed(ended)
		for {
			chunk, err := reader.ReadBytes('\n')
			pending = append(pending, chunk...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("read log: %w", err)
			}
			if err := printer.print(pending); errors.Is(err, errLimitReached) {
				return nil
			} else if err != nil {
				return err
			}
			pending = pending[:0]
		}
		if final {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
		case <-time.After(followInterval):
		}
	}
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

// logPrinter turns entries of the log file into what a client sees.
type logPrinter struct {
	options   LogOptions
	out       io.Writer
	written   int64
	lineStart bool
}

func (p *logPrinter) print(entry []byte) error {
	fields := bytes.SplitN(bytes.TrimSuffix(entry, []byte("\n")), []byte(" "), 4)
	if len(fields) != 4 {
		return fmt.Errorf("log has an entry of unknown form: %q", entry)
	}
	at, err := time.Parse(time.RFC3339Nano, string(fields[0]))
	if err != nil {
		return fmt.Errorf("log has an entry without a time: %w", err)
	}
	if p.options.Since != nil && at.Before(*p.options.Since) {
		return nil
	}
	if p.options.Stream != "" && Stream(fields[1]) != p.options.Stream {
		return nil
	}
	var text []byte
	if p.options.Timestamps && p.lineStart {
		text = append(append(text, fields[0]...), ' ')
	}
	text = append(text, fields[3]...)
	p.lineStart = fields[2][0] == 'F'
	if p.lineStart {
		text = append(text, '\n')
	}
	return p.write(text)
}

func (p *logPrinter) write(text []byte) error {
	limit := p.options.LimitBytes
	if limit != nil && p.written+int64(len(text)) > *limit {
		text = text[:*limit-p.written]
	}
	written, err := p.out.Write(text)
	p.written += int64(written)
	if err != nil {
		return fmt.Errorf("send log: %w", err)
	}
	if limit != nil && p.written >= *limit {
		return errLimitReached
	}
	return nil
}

// seekToTail moves to the start of the last lines, reading backwards.
func seekToTail(file *os.File, lines int64) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil || lines <= 0 {
		return err
	}
	block := make([]byte, 64<<10)
	for found, start := int64(0), end; start > 0; {
		size := min(int64(len(block)), start)
		start -= size
		if _, err := file.ReadAt(block[:size], start); err != nil {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			// The end of the file ends the last line; it does not begin one more.
			if block[i] != '\n' || start+i == end-1 {
				continue
			}
			if found++; found == lines {
				_, err = file.Seek(start+i+1, io.SeekStart)
				return err
			}
		}
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}
