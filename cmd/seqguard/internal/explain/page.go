package explain

import (
	"io"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

type page struct{}

type timeline struct{}

func (t *timeline) add(p *conversation.Packet, start int64) {}

func (p *page) violation(v *report.Violation) {}

func (p *page) connection(c *conn, s *conversation.State, at int64) {}

func (p *page) write(w io.Writer, x *explainer) error { return nil }
