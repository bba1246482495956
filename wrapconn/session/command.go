package session

import "fmt"

// Command is the first byte of a packet that starts an exchange.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
type Command uint8

const (
	ComSleep            Command = 0x00
	ComQuit             Command = 0x01
	ComInitDB           Command = 0x02
	ComQuery            Command = 0x03
	ComFieldList        Command = 0x04
	ComCreateDB         Command = 0x05
	ComDropDB           Command = 0x06
	ComRefresh          Command = 0x07
	ComShutdown         Command = 0x08
	ComStatistics       Command = 0x09
	ComProcessInfo      Command = 0x0a
	ComProcessKill      Command = 0x0c
	ComDebug            Command = 0x0d
	ComPing             Command = 0x0e
	ComChangeUser       Command = 0x11
	ComBinlogDump       Command = 0x12
	ComRegisterReplica  Command = 0x15
	ComStmtPrepare      Command = 0x16
	ComStmtExecute      Command = 0x17
	ComStmtSendLongData Command = 0x18
	ComStmtClose        Command = 0x19
	ComStmtReset        Command = 0x1a
	ComSetOption        Command = 0x1b
	ComStmtFetch        Command = 0x1c
	ComBinlogDumpGTID   Command = 0x1e
	ComResetConnection  Command = 0x1f
	// ComClone starts the protocol of MySQL's clone plugin.
	// https://dev.mysql.com/doc/refman/8.4/en/clone-plugin.html
	ComClone Command = 0x20
	// ComStmtBulkExecute is MariaDB's.
	// https://mariadb.com/kb/en/com_stmt_bulk_execute/
	ComStmtBulkExecute Command = 0xfa
)

var commandNames = map[Command]string{
	ComSleep: "COM_SLEEP", ComQuit: "COM_QUIT", ComInitDB: "COM_INIT_DB", ComQuery: "COM_QUERY",
	ComFieldList: "COM_FIELD_LIST", ComCreateDB: "COM_CREATE_DB", ComDropDB: "COM_DROP_DB",
	ComRefresh: "COM_REFRESH", ComShutdown: "COM_SHUTDOWN", ComStatistics: "COM_STATISTICS",
	ComProcessInfo: "COM_PROCESS_INFO", ComProcessKill: "COM_PROCESS_KILL", ComDebug: "COM_DEBUG",
	ComPing: "COM_PING", ComChangeUser: "COM_CHANGE_USER", ComBinlogDump: "COM_BINLOG_DUMP",
	ComRegisterReplica: "COM_REGISTER_SLAVE", ComStmtPrepare: "COM_STMT_PREPARE",
	ComStmtExecute: "COM_STMT_EXECUTE", ComStmtSendLongData: "COM_STMT_SEND_LONG_DATA",
	ComStmtClose: "COM_STMT_CLOSE", ComStmtReset: "COM_STMT_RESET", ComSetOption: "COM_SET_OPTION",
	ComStmtFetch: "COM_STMT_FETCH", ComBinlogDumpGTID: "COM_BINLOG_DUMP_GTID",
	ComResetConnection: "COM_RESET_CONNECTION", ComStmtBulkExecute: "COM_STMT_BULK_EXECUTE",
	ComClone: "COM_CLONE",
}

func (c Command) String() string {
	if s, ok := commandNames[c]; ok {
		return s
	}
	return fmt.Sprintf("command 0x%02x", uint8(c))
}

// grammar is the shape of a command's answer.
type grammar uint8

const (
	answerUnknown grammar = iota // outside the grammar: the conversation becomes untracked
	answerNone                   // the server does not answer
	answerStatus                 // OK, EOF or ERR
	answerResult                 // OK, ERR, LOCAL INFILE request, or a result set
	answerPrepare                // COM_STMT_PREPARE_OK or ERR
	answerColumns                // column definitions up to an EOF, or ERR
	answerRows                   // rows up to an EOF, or ERR
	answerText                   // one packet of text, or ERR
	answerAuth                   // as after a login
	answerEvents                 // events up to an EOF, or without an end; or ERR
	answerClone                  // OK, then a protocol of its own; or ERR
	answerQuit                   // the server closes
)

func (c Command) grammar() grammar { return grammars[c] }

var grammars = [256]grammar{
	ComQuit:   answerQuit,
	ComInitDB: answerStatus, ComCreateDB: answerStatus, ComDropDB: answerStatus, ComRefresh: answerStatus, ComShutdown: answerStatus,
	ComProcessKill: answerStatus, ComDebug: answerStatus, ComPing: answerStatus, ComRegisterReplica: answerStatus,
	ComStmtReset: answerStatus, ComSetOption: answerStatus, ComResetConnection: answerStatus,
	ComQuery: answerResult, ComProcessInfo: answerResult, ComStmtExecute: answerResult, ComStmtBulkExecute: answerResult,
	ComFieldList:        answerColumns,
	ComStatistics:       answerText,
	ComChangeUser:       answerAuth,
	ComStmtPrepare:      answerPrepare,
	ComStmtSendLongData: answerNone, ComStmtClose: answerNone,
	ComStmtFetch:  answerRows,
	ComBinlogDump: answerEvents, ComBinlogDumpGTID: answerEvents,
	ComClone: answerClone,
}
