package conversation

import (
	"fmt"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// What docs/causes.md says of causes that look otherwise from a proxy or in a
// capture than from within the client.
func TestFromOutside(t *testing.T) {
	greeting := plainLogin()[:1]
	leaves, hangsUp := session.FromClient, session.FromServer
	// Two columns and a row, of which the end is missing; and the first of two results.
	open := []segment{query("SELECT 1"), fromServer(1, []byte{1}, column, mysqltest.TextRowPayload(1))}
	more := []segment{query("DO 1; SELECT 2"), fromServer(1, mysqltest.OKPayload(0, 0, 2|8, 0))}
	early := query("SELECT 3")
	for _, tt := range []struct {
		name string
		said []segment
		ends *session.Direction // nil: the connection lives
		want string
	}{
		{"pool_exhausted, read_nothing_due: the client is quiet and leaves", join(plainLogin(), selectOne()), &leaves, "[]"},
		{"abandoned, peer_unresponsive", join(plainLogin(), []segment{query("SELECT SLEEP(9)")}), &leaves, "[client_left]"},
		{"read_too_late", join(plainLogin(), open), &leaves, "[client_left]"},
		{"no_greeting, the client gives up", nil, &leaves, "[client_left]"},
		{"no_greeting, the server ends", nil, &hangsUp, "[no_greeting]"},
		{"login_unanswered, the client gives up", plainLogin()[:2], &leaves, "[client_left]"},
		{"login_unanswered, the server ends", plainLogin()[:2], &hangsUp, "[login_unanswered]"},
		{"auth_plugin_mismatch", join(plainLogin()[:2], []segment{fromServer(2, []byte("\xfedialog\x0012345678901234567890\x00"))}), &leaves, "[auth_plugin_mismatch]"},
		{"login_stalled_locally is the client's", greeting, &leaves, "[client_left]"},
		{"connection_killed, closed_while_idle", join(plainLogin(), selectOne()), &hangsUp, "[]"},
		{"connection_killed, a statement runs", join(plainLogin(), []segment{query("SELECT SLEEP(9)")}), &hangsUp, "[closed_before_answer]"},
		{"server_shutdown, ended_together, in an answer", join(plainLogin(), open), &hangsUp, "[connection_lost_mid_answer]"},
		{"idle_timeout", join(plainLogin(), []segment{fromServer(0, mysqltest.ERRPayload(4031, "HY000", "inactivity"))}), &hangsUp, "[idle_timeout]"},
		{"concurrent_use, used_after_fork", join(plainLogin(), []segment{query("SELECT 1"), early}), nil, "[concurrent_use]"},
		{"result_still_open", join(plainLogin(), open, []segment{early}), nil, "[result_still_open]"},
		{"more_results_unread", join(plainLogin(), more, []segment{early}), nil, "[more_results_unread]"},
		{"local_infile_partial", join(plainLogin(), []segment{
			query("LOAD DATA LOCAL INFILE"), fromServer(1, []byte("\xfbfile")), fromClient(2, []byte("half")), fromClient(3, nil), fromServer(4, mysqltest.OKPayload(1, 0, 2, 0)),
		}), nil, "[]"},
	} {
		w := newWatch(another())
		w.say(tt.said...)
		if tt.ends != nil {
			later := w.now + time.Second
			if tt.want == "[auth_plugin_mismatch]" {
				later = w.now + 5*time.Millisecond // who takes his time may have left for a reason of his own
			}
			w.End(*tt.ends, cause.StreamEOF, nil, later)
			w.End(1-*tt.ends, cause.StreamEOF, nil, later)
		}
		slugs := []cause.Slug{}
		for _, f := range w.Take() {
			slugs = append(slugs, f.Diagnose().Slug)
		}
		if got := fmt.Sprint(slugs); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
