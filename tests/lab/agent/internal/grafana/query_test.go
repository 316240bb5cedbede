// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

const instantQuery = `{"from":"now-5m","to":"now","queries":[{"refId":"A","datasource":{"type":"prometheus","uid":"tenant-x"},
	"expr":"up","instant":true,"range":false,"format":"table","intervalMs":1000,"maxDataPoints":1}]}`

func results(t *testing.T, body string) map[string]result {
	t.Helper()
	var answer struct {
		Results map[string]result `json:"results"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return answer.Results
}

func TestInstantQuery(t *testing.T) {
	server, up := start(t)
	up.body = `{"status":"success","data":{"resultType":"vector","result":[
		{"metric":{"__name__":"up","namespace":"x"},"value":[1795524802.5,"1"]},
		{"metric":{"__name__":"up","namespace":"x","job":"b"},"value":[1795524802.5,"NaN"]}]}}`
	response, body := ask(t, server, http.MethodPost, "/api/ds/query", instantQuery)
	answer := results(t, body)["A"]
	if response.StatusCode != http.StatusOK || answer.Status != http.StatusOK || len(answer.Frames) != 2 {
		t.Fatalf("got %d %s", response.StatusCode, body)
	}
	if up.request.Method != http.MethodPost || up.request.URL.Path != "/base/api/v1/query" {
		t.Errorf("the data source was asked by %s %s", up.request.Method, up.request.URL.Path)
	}
	if namespace := up.form["namespace"]; len(namespace) != 1 || namespace[0] != "x" || up.form["query"][0] != "up" {
		t.Errorf("parameters %v, want the query and customQueryParameters", up.form)
	}
	if up.request.Host != "prometheus.example" {
		t.Errorf("Host is %s, want the custom one", up.request.Host)
	}
	frame := answer.Frames[0]
	if frame.Schema.Meta.Type != "numeric-multi" || frame.Schema.Fields[1].Labels["namespace"] != "x" || frame.Schema.Fields[1].Name != "up" {
		t.Errorf("got schema %+v", frame.Schema)
	}
	if *frame.Data.Values[0][0] != 1795524802500 || *frame.Data.Values[1][0] != 1 || answer.Frames[1].Data.Values[1][0] != nil {
		t.Errorf("got data %s", body)
	}
}

func TestRangeQuery(t *testing.T) {
	server, up := start(t)
	up.body = `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[16,"3"]]}]}}`
	_, body := ask(t, server, http.MethodPost, "/api/ds/query",
		`{"from":"1000","to":"61000","queries":[{"refId":"B","datasource":{"uid":"plain"},"expr":"1+1"}]}`)
	if up.request.Method != http.MethodGet || up.request.URL.Path != "/api/v1/query_range" {
		t.Errorf("the data source was asked by %s %s, want httpMethod GET", up.request.Method, up.request.URL.Path)
	}
	for name, want := range map[string]string{"start": "1.000", "end": "61.000", "step": "15"} {
		if got := up.form[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %v, want %s", name, got, want)
		}
	}
	frame := results(t, body)["B"].Frames[0]
	if frame.Schema.Meta.Type != "timeseries-multi" || len(frame.Data.Values[0]) != 2 || frame.Schema.Fields[1].Config["displayNameFromDS"] != "1+1" {
		t.Errorf("got %s", body)
	}
}

func TestEmptyResultIsAFrameWithoutFields(t *testing.T) {
	server, _ := start(t)
	response, body := ask(t, server, http.MethodPost, "/api/ds/query", instantQuery)
	if response.StatusCode != http.StatusOK || !strings.Contains(body, `"fields":[]},"data":{"values":[]}`) {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
}

func TestFailedQuery(t *testing.T) {
	const envoy = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
	for name, test := range map[string]struct {
		status     int
		body, want string
	}{
		"Envoy's 503": {http.StatusServiceUnavailable, envoy, "ReadObject: expect { or , or } or n, but found u, error found in #1 byte of ...|upstream co|..., " +
			"bigger context ...|upstream connect error or disconnect/reset before h|..."},
		"Prometheus' error":  {http.StatusUnprocessableEntity, `{"status":"error","errorType":"execution","error":"too many"}`, "execution: too many"},
		"the proxy's error":  {http.StatusBadRequest, `{"status":"error","errorType":"prom-label-proxy","error":"no label"}`, "prom-label-proxy: no label"},
		"nothing at all":     {http.StatusBadGateway, "", "EOF"},
		"a very short error": {http.StatusBadGateway, "no", "...|no|..."},
	} {
		server, up := start(t)
		up.status, up.body = test.status, test.body
		response, body := ask(t, server, http.MethodPost, "/api/ds/query", instantQuery)
		answer := results(t, body)["A"]
		if response.StatusCode != http.StatusBadRequest || answer.Status != test.status || !strings.Contains(answer.Error, test.want) {
			t.Errorf("%s: got %d %s", name, response.StatusCode, body)
		}
	}
}

func TestHealth(t *testing.T) {
	server, up := start(t)
	response, body := ask(t, server, http.MethodGet, "/api/datasources/uid/tenant-x/health", "")
	if response.StatusCode != http.StatusOK || !strings.Contains(body, `"status":"OK"`) {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	if up.form["query"][0] != "1+1" || up.form["namespace"][0] != "x" {
		t.Errorf("parameters %v", up.form)
	}
	up.status, up.body = http.StatusServiceUnavailable, "upstream connect error"
	response, body = ask(t, server, http.MethodGet, "/api/datasources/uid/tenant-x/health", "")
	if response.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"status":"ERROR"`) ||
		!strings.Contains(body, " - There was an error returned querying the Prometheus API.") {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
}

func TestBadRequests(t *testing.T) {
	server, _ := start(t)
	for body, want := range map[string]int{
		"{":                              http.StatusBadRequest,
		`{"queries":[]}`:                 http.StatusBadRequest,
		`{"from":"soon","queries":[{}]}`: http.StatusBadRequest,
		`{"queries":[{"refId":"A","datasource":{"uid":"absent"},"expr":"1"}]}`: http.StatusNotFound,
	} {
		if response, answer := ask(t, server, http.MethodPost, "/api/ds/query", body); response.StatusCode != want {
			t.Errorf("%s: got %d %s, want %d", body, response.StatusCode, answer, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"now": now, "": now, "now-5m": now.Add(-5 * time.Minute), "now-2d": now.AddDate(0, 0, -2), "1795524802500": time.UnixMilli(1795524802500),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
}
