// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// queryRequest is the body of POST /api/ds/query.
type queryRequest struct {
	From    string      `json:"from"`
	To      string      `json:"to"`
	Queries []queryItem `json:"queries"`
}

// queryItem is one query of the Prometheus plugin. The format ("table" or
// "time_series") is the browser's concern: the answer is the same.
type queryItem struct {
	RefID      string `json:"refId"`
	Datasource struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Expr          string  `json:"expr"`
	Instant       bool    `json:"instant"`
	Range         bool    `json:"range"`
	IntervalMs    float64 `json:"intervalMs"`
	MaxDataPoints int64   `json:"maxDataPoints"`
}

// result is the answer to one query.
type result struct {
	Status      int     `json:"status"`
	Frames      []frame `json:"frames,omitempty"`
	Error       string  `json:"error,omitempty"`
	ErrorSource string  `json:"errorSource,omitempty"`
}

// query answers POST /api/ds/query. As in Grafana one failed query makes the
// status 400, whatever the data source said; that is in the result's status.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	var request queryRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		writeMessage(w, http.StatusBadRequest, "bad request data")
		return
	}
	span, err := parseSpan(request.From, request.To, time.Now())
	if err != nil {
		writeMessage(w, http.StatusBadRequest, err.Error())
		return
	}
	if len(request.Queries) == 0 {
		writeMessage(w, http.StatusBadRequest, "No queries found in query")
		return
	}
	status := http.StatusOK
	results := map[string]result{}
	for _, item := range request.Queries {
		source := s.find(item.Datasource.UID)
		if source == nil {
			writeMessage(w, http.StatusNotFound, "Data source not found")
			return
		}
		if item.RefID == "" {
			item.RefID = "A"
		}
		answer := s.run(r.Context(), source, item, span)
		if answer.Error != "" {
			status = http.StatusBadRequest
		}
		results[item.RefID] = answer
	}
	writeJSON(w, status, map[string]any{"results": results})
}

// health runs "1+1", like Grafana's Prometheus plugin (promlib/healthcheck.go).
func (s *Server) health(w http.ResponseWriter, r *http.Request, source *DataSource) {
	now := time.Now()
	item := queryItem{RefID: "__healthcheck__", Expr: "1+1", Instant: true}
	answer := s.run(r.Context(), source, item, timeSpan{now.Add(-time.Minute), now})
	if answer.Error != "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{
			"status":  "ERROR",
			"message": answer.Error + " - There was an error returned querying the Prometheus API.",
		})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "OK", "message": "Successfully queried the Prometheus API."})
}

// run asks the data source: an instant query, a range query, or both.
func (s *Server) run(ctx context.Context, source *DataSource, item queryItem, span timeSpan) result {
	if source.Type != "prometheus" {
		return failed(http.StatusInternalServerError, errors.New("the stand-in queries data sources of type prometheus only"))
	}
	all := result{Status: http.StatusOK}
	if item.Range || !item.Instant {
		step := span.step(item)
		answer := s.ask(ctx, source, item, step, "query_range", map[string]string{
			"start": seconds(span.from), "end": seconds(span.to), "step": strconv.FormatFloat(step.Seconds(), 'f', -1, 64),
		})
		if answer.Error != "" {
			return answer
		}
		all.Frames = append(all.Frames, answer.Frames...)
	}
	if item.Instant {
		answer := s.ask(ctx, source, item, span.step(item), "query", map[string]string{"time": seconds(span.to)})
		if answer.Error != "" {
			return answer
		}
		all.Frames = append(all.Frames, answer.Frames...)
	}
	return all
}

func failed(status int, err error) result {
	return result{Status: status, Error: err.Error(), ErrorSource: "downstream"}
}

type timeSpan struct{ from, to time.Time }

// step is the resolution: at least the plugin's default scrape interval.
func (t timeSpan) step(item queryItem) time.Duration {
	step := time.Duration(item.IntervalMs) * time.Millisecond
	if item.MaxDataPoints > 0 {
		step = max(step, t.to.Sub(t.from)/time.Duration(item.MaxDataPoints))
	}
	return max(step.Round(time.Second), 15*time.Second)
}

func parseSpan(from, to string, now time.Time) (timeSpan, error) {
	begin, err := parseTime(from, now)
	if err != nil {
		return timeSpan{}, err
	}
	end, err := parseTime(to, now)
	if err != nil {
		return timeSpan{}, err
	}
	return timeSpan{begin, end}, nil
}

// parseTime reads "now", "now-5m" or milliseconds since the epoch.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" || text == "now" {
		return now, nil
	}
	if offset, relative := strings.CutPrefix(text, "now-"); relative {
		if days, inDays := strings.CutSuffix(offset, "d"); inDays {
			if count, err := strconv.Atoi(days); err == nil {
				return now.AddDate(0, 0, -count), nil
			}
		}
		if duration, err := time.ParseDuration(offset); err == nil {
			return now.Add(-duration), nil
		}
	}
	if milliseconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(milliseconds), nil
	}
	return time.Time{}, fmt.Errorf("invalid time range: %q", text)
}

func seconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}
