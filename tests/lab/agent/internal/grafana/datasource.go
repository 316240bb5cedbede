// SPDX-License-Identifier: GPL-3.0-or-later

// Package grafana is a stand-in for Grafana, which the lab cannot have for its
// licence. It keeps to Grafana's documented HTTP API as far as a query through
// a provisioned Prometheus data source needs it: what a client sends, what the
// data source receives, and what the client gets when that fails. It has no
// user interface, no database and a single token.
package grafana

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// DataSource is an entry of a provisioning file (apiVersion 1).
type DataSource struct {
	Name           string            `json:"name"`
	UID            string            `json:"uid"`
	Type           string            `json:"type"`
	Access         string            `json:"access"`
	OrgID          int64             `json:"orgId"`
	URL            string            `json:"url"`
	User           string            `json:"user"`
	Database       string            `json:"database"`
	BasicAuth      bool              `json:"basicAuth"`
	BasicAuthUser  string            `json:"basicAuthUser"`
	IsDefault      bool              `json:"isDefault"`
	Editable       bool              `json:"editable"`
	Version        int               `json:"version"`
	JSONData       map[string]any    `json:"jsonData"`
	SecureJSONData map[string]string `json:"secureJsonData"`

	id     int64
	target *url.URL
}

// Load reads all provisioning files of a directory.
func Load(dir string) ([]*DataSource, error) {
	var paths []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, fmt.Errorf("list provisioning files: %w", err)
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	var all []*DataSource
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read provisioning file: %w", err)
		}
		sources, err := parse(content)
		if err != nil {
			return nil, fmt.Errorf("provisioning file %s: %w", path, err)
		}
		all = append(all, sources...)
	}
	for i, source := range all {
		source.id = int64(i + 1)
		for _, earlier := range all[:i] {
			if earlier.UID == source.UID {
				return nil, fmt.Errorf("data sources %q and %q have the same uid %q", earlier.Name, source.Name, source.UID)
			}
		}
	}
	return all, nil
}

func parse(content []byte) ([]*DataSource, error) {
	var file struct {
		Datasources []*DataSource `json:"datasources"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	for _, source := range file.Datasources {
		if err := source.complete(); err != nil {
			return nil, err
		}
	}
	return file.Datasources, nil
}

// complete checks the entry and sets the defaults of Grafana's provisioning.
func (d *DataSource) complete() error {
	if d.Name == "" || d.Type == "" {
		return errors.New("a data source needs name and type")
	}
	if d.UID == "" {
		// pkg/services/provisioning/datasources: safeUIDFromName.
		sum := sha256.Sum256([]byte(d.Name))
		d.UID = strings.ToUpper(fmt.Sprintf("P%x", sum[:8]))
	}
	if d.Access == "" {
		d.Access = "proxy"
	}
	if d.OrgID == 0 {
		d.OrgID = 1
	}
	if d.Version == 0 {
		d.Version = 1
	}
	if d.JSONData == nil {
		d.JSONData = map[string]any{}
	}
	target, err := url.Parse(d.URL)
	if err != nil || target.Host == "" {
		return fmt.Errorf("data source %q has no valid url: %q", d.Name, d.URL)
	}
	d.target = target
	return nil
}

// listItem is the data source in the answer to GET /api/datasources.
func (d *DataSource) listItem() map[string]any {
	return map[string]any{
		"id": d.id, "uid": d.UID, "orgId": d.OrgID, "name": d.Name,
		"type": d.Type, "typeName": typeName(d.Type), "typeLogoUrl": "",
		"access": d.Access, "url": d.URL, "user": d.User, "database": d.Database,
		"basicAuth": d.BasicAuth, "isDefault": d.IsDefault, "jsonData": d.JSONData,
		"readOnly": !d.Editable,
	}
}

// details is the answer to GET /api/datasources/uid/:uid. Of secrets it tells
// only that they are set.
func (d *DataSource) details() map[string]any {
	item := d.listItem()
	delete(item, "typeName")
	secrets := map[string]bool{}
	for name := range d.SecureJSONData {
		secrets[name] = true
	}
	item["secureJsonFields"] = secrets
	item["basicAuthUser"] = d.BasicAuthUser
	item["withCredentials"] = false
	item["version"] = d.Version
	item["apiVersion"] = ""
	return item
}

func typeName(kind string) string {
	if kind == "prometheus" {
		return "Prometheus"
	}
	return kind
}

// text returns a string of jsonData, or "".
func (d *DataSource) text(key string) string {
	value, _ := d.JSONData[key].(string)
	return value
}
