package session

import "strconv"

// name looks i up in a table of names, so that every enumeration of this
// package prints an unknown value the same way.
func name(names []string, i int, what string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return "invalid " + what + " " + strconv.Itoa(i)
}
