package wrapconn

import "github.com/seqguard/mysql-seqguard/wrapconn/conversation"

// HistoryEntry is one packet, or a run of rows, in a report.
type HistoryEntry = conversation.Packet
