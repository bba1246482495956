// Package contrib holds, as files, what belongs beside the library: alerting rules
// for Prometheus and a board for Grafana. Its tests run the rules and the queries of
// the board on a real Prometheus that scrapes a guarded program.
package contrib
