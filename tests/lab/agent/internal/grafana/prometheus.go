// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of a data source's answer.
const maxAnswer = 64 << 20

// prometheusAnswer is the envelope of Prometheus' HTTP API.
type prometheusAnswer struct {
	Status    string `json:"status"`
	ErrorType string `json:"errorType"`
	Error     string `json:"error"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// ask sends one query to Prometheus, by POST unless jsonData.httpMethod is GET.
func (s *Server) ask(ctx context.Context, source *DataSource, item queryItem, step time.Duration, endpoint string, parameters map[string]string) result {
	form := url.Values{"query": {item.Expr}}
	for name, value := range parameters {
		form.Set(name, value)
	}
	request, err := newQuery(ctx, source, endpoint, form)
	if err != nil {
		return failed(http.StatusInternalServerError, err)
	}
	response, err := s.client(source).Do(request)
	if err != nil {
		return failed(http.StatusInternalServerError, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return failed(http.StatusInternalServerError, err)
	}
	return parseAnswer(response.StatusCode, body, item, step)
}

func newQuery(ctx context.Context, source *DataSource, endpoint string, form url.Values) (*http.Request, error) {
	target := source.join("api/v1/" + endpoint)
	if err := source.withCustomParameters(target); err != nil {
		return nil, err
	}
	method, body := http.MethodPost, form.Encode()
	if strings.EqualFold(source.text("httpMethod"), http.MethodGet) {
		method = http.MethodGet
		query := target.Query()
		for name, values := range form {
			query[name] = append(query[name], values...)
		}
		target.RawQuery, body = query.Encode(), ""
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("User-Agent", userAgent)
	return request, nil
}

// parseAnswer reads the body as JSON whatever the status is, as Grafana does:
// so an error page of a proxy becomes a parse error that quotes it.
func parseAnswer(status int, body []byte, item queryItem, step time.Duration) result {
	if len(body) == 0 || body[0] != '{' {
		return failed(status, notJSON(body))
	}
	var answer prometheusAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return failed(status, err)
	}
	if answer.Status != "success" {
		return failed(status, fmt.Errorf("%s: %s", answer.ErrorType, answer.Error))
	}
	frames, err := frames(answer.Data.ResultType, answer.Data.Result, item, step)
	if err != nil {
		return failed(http.StatusInternalServerError, err)
	}
	return result{Status: status, Frames: frames}
}

// notJSON is the error of Grafana's JSON parser for a body that is no object
// (json-iterator/go, iter.go: ReportError), by which users know the failure.
func notJSON(body []byte) error {
	if len(body) == 0 {
		return io.EOF
	}
	quote := func(around int) []byte { return body[:min(1+around, len(body))] }
	return fmt.Errorf("ReadObject: expect { or , or } or n, but found %c, error found in #1 byte of ...|%s|..., bigger context ...|%s|...",
		body[0], quote(10), quote(50))
}
