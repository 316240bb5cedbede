// SPDX-License-Identifier: GPL-3.0-or-later

package env

import "strings"

// Expand replaces $(NAME) by the variable's value. As Kubernetes defines it, an
// unknown name stays as it is and $$ stands for one dollar sign.
func Expand(text string, variables map[string]string) string {
	var result strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		result.WriteString(before)
		if !found {
			return result.String()
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			result.WriteByte('$')
			rest = rest[1:]
		case strings.HasPrefix(rest, "("):
			name, after, closed := strings.Cut(rest[1:], ")")
			value, known := variables[name]
			if !closed || !known {
				result.WriteString("$")
				break
			}
			result.WriteString(value)
			rest = after
		default:
			result.WriteString("$")
		}
		text = rest
	}
}
