// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// frame is a data frame in the JSON form of grafana-plugin-sdk-go, one per
// series, as the data plane contract defines them.
type frame struct {
	Schema frameSchema `json:"schema"`
	Data   frameData   `json:"data"`
}

type frameSchema struct {
	RefID  string       `json:"refId"`
	Meta   frameMeta    `json:"meta"`
	Fields []frameField `json:"fields"`
}

type frameMeta struct {
	Type                string            `json:"type"`
	TypeVersion         [2]int            `json:"typeVersion"`
	Custom              map[string]string `json:"custom"`
	ExecutedQueryString string            `json:"executedQueryString"`
}

type frameField struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	TypeInfo map[string]string `json:"typeInfo"`
	Labels   map[string]string `json:"labels,omitempty"`
	Config   map[string]any    `json:"config,omitempty"`
}

// frameData has one list per field: times in milliseconds, and values, where
// null stands for a number that JSON does not have.
type frameData struct {
	Values [][]*float64 `json:"values"`
}

// sample is Prometheus' pair of a time in seconds and a value as text.
type sample [2]any

type series struct {
	Metric map[string]string `json:"metric"`
	Value  sample            `json:"value"`
	Values []sample          `json:"values"`
}

// frames turns the result of a query into frames.
func frames(resultType string, raw json.RawMessage, item queryItem, step time.Duration) ([]frame, error) {
	meta := frameMeta{
		Type:                "timeseries-multi",
		TypeVersion:         [2]int{0, 1},
		Custom:              map[string]string{"resultType": resultType},
		ExecutedQueryString: fmt.Sprintf("Expr: %s\nStep: %s", item.Expr, step),
	}
	var all []series
	switch resultType {
	case "scalar":
		meta.Type = "numeric-multi"
		var value sample
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("read scalar: %w", err)
		}
		all = []series{{Value: value}}
	case "vector", "matrix":
		if resultType == "vector" {
			meta.Type = "numeric-multi"
		}
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, fmt.Errorf("read %s: %w", resultType, err)
		}
	default:
		return nil, fmt.Errorf("unknown result type: %s", resultType)
	}
	if len(all) == 0 {
		// Grafana answers an empty result by a frame without fields.
		return []frame{{
			Schema: frameSchema{RefID: item.RefID, Meta: meta, Fields: []frameField{}},
			Data:   frameData{Values: [][]*float64{}},
		}}, nil
	}
	result := make([]frame, 0, len(all))
	for _, one := range all {
		samples := one.Values
		if resultType != "matrix" {
			samples = []sample{one.Value}
		}
		converted, err := newFrame(item, meta, one.Metric, samples)
		if err != nil {
			return nil, err
		}
		result = append(result, converted)
	}
	return result, nil
}

func newFrame(item queryItem, meta frameMeta, labels map[string]string, samples []sample) (frame, error) {
	name := labels["__name__"]
	if name == "" {
		name = "Value"
	}
	result := frame{Schema: frameSchema{RefID: item.RefID, Meta: meta, Fields: []frameField{
		{Name: "Time", Type: "time", TypeInfo: map[string]string{"frame": "time.Time"}},
		{
			Name: name, Type: "number", TypeInfo: map[string]string{"frame": "float64"}, Labels: labels,
			Config: map[string]any{"displayNameFromDS": seriesName(labels, item.Expr)},
		},
	}}}
	times, values := make([]*float64, 0, len(samples)), make([]*float64, 0, len(samples))
	for _, point := range samples {
		seconds, isNumber := point[0].(float64)
		text, isText := point[1].(string)
		if !isNumber || !isText {
			return frame{}, fmt.Errorf("unexpected sample %v", point)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return frame{}, fmt.Errorf("unexpected sample %v", point)
		}
		milliseconds := math.Round(seconds * 1000)
		times, values = append(times, &milliseconds), append(values, finite(value))
	}
	result.Data.Values = [][]*float64{times, values}
	return result, nil
}

func finite(value float64) *float64 {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &value
}

// seriesName is PromQL's notation of a series, or the expression for one
// without labels.
func seriesName(labels map[string]string, expression string) string {
	if len(labels) == 0 {
		return expression
	}
	pairs := make([]string, 0, len(labels))
	for name, value := range labels {
		if name != "__name__" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, value))
		}
	}
	sort.Strings(pairs)
	if len(pairs) == 0 {
		return labels["__name__"]
	}
	return labels["__name__"] + "{" + strings.Join(pairs, ", ") + "}"
}
