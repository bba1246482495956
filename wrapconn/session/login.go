package session

import "strings"

// Client tells the tracker what the client says of itself in its login: the name
// of its library (the connection attribute "_client_name") and the
// authentication plugin that it proposes; empty if it does not say.
// https://dev.mysql.com/doc/refman/8.4/en/performance-schema-connection-attribute-tables.html
func (t *Tracker) Client(name, plugin string) {
	t.proposed = plugin
	if pipelining(name) {
		t.pipelines = true
	}
}

// pipelining reports whether a client library sends commands ahead of the
// answers to earlier ones, by itself.
func pipelining(client string) bool {
	for _, name := range []string{"MariaDB Connector/Node", "MariaDB Connector/J"} {
		if strings.EqualFold(client, name) {
			return true
		}
	}
	return false
}
