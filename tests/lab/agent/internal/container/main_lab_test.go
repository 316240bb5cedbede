// SPDX-License-Identifier: GPL-3.0-or-later

//go:build lab

package container

import (
	"testing"

	"meshops.example/lab/agent/internal/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m, InitCommand, RunInit) }
