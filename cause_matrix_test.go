package seqguard_test

import (
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

type cellSet map[string]bool

func (c cellSet) empty() bool { return len(c) == 0 }

func cells(slug cause.Slug) cellSet {
	c := cellSet{}
	for i := range causeCases {
		if causeCases[i].slug == slug {
			c["x"] = true
		}
	}
	return c
}

var elsewhere = map[cause.Slug]string{"used_after_fork": "x"}
