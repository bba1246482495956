package cause

import "fmt"

// Codes that rows look for.
// https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html
// https://mariadb.com/kb/en/mariadb-error-code-reference/
const (
	erHandshake         = 1043
	erShutdown          = 1053
	erPacketTooLarge    = 1153
	erOutOfOrder        = 1156
	erUncompress        = 1157
	erReadError         = 1158
	erReadInterrupted   = 1159
	erWriteInterrupted  = 1161
	erNewAborting       = 1184 // init_connect failed: sql/sql_connect.cc of both
	erUnsupportedAuth   = 1251
	erPluginNotLoaded   = 1524
	erConnectionKilled  = 1927 // MariaDB
	erOfflineMode       = 3032
	erSecureTransport   = 3159
	erSessionKilled     = 3169
	erInteractionTimout = 4031 // MySQL; in MariaDB 4031 is about triggers
	erMemoryGlobal      = 4081 // MySQL: global_connection_memory_limit
	erMemory            = 4082 // MySQL: connection_memory_limit
)

// transportCodes are the server's words about the stream of packets itself:
// never an answer to a statement.
var transportCodes = []uint16{erPacketTooLarge, erOutOfOrder, erUncompress, erReadError, erReadInterrupted, erWriteInterrupted}

// loginReadCodes can only be said by somebody who has read the login: they are
// about the user, the database, the plugin or the flags in it.
var loginReadCodes = []uint16{1044, 1045, 1049, 1226, erUnsupportedAuth, erPluginNotLoaded, 1698, 1862, 3118, erSecureTransport, 3955, 4151}

var codeNames = map[uint16]string{
	1040: "ER_CON_COUNT_ERROR", 1041: "ER_OUT_OF_RESOURCES", 1042: "ER_BAD_HOST_ERROR", 1043: "ER_HANDSHAKE_ERROR",
	1044: "ER_DBACCESS_DENIED_ERROR", 1045: "ER_ACCESS_DENIED_ERROR", 1049: "ER_BAD_DB_ERROR", 1053: "ER_SERVER_SHUTDOWN",
	1105: "ER_UNKNOWN_ERROR", 1129: "ER_HOST_IS_BLOCKED", 1130: "ER_HOST_NOT_PRIVILEGED", 1135: "ER_CANT_CREATE_THREAD",
	1152: "ER_ABORTING_CONNECTION", 1153: "ER_NET_PACKET_TOO_LARGE", 1156: "ER_NET_PACKETS_OUT_OF_ORDER",
	1157: "ER_NET_UNCOMPRESS_ERROR", 1158: "ER_NET_READ_ERROR", 1159: "ER_NET_READ_INTERRUPTED",
	1160: "ER_NET_ERROR_ON_WRITE", 1161: "ER_NET_WRITE_INTERRUPTED", 1184: "ER_NEW_ABORTING_CONNECTION",
	1203: "ER_TOO_MANY_USER_CONNECTIONS", 1226: "ER_USER_LIMIT_REACHED", 1251: "ER_NOT_SUPPORTED_AUTH_MODE",
	1317: "ER_QUERY_INTERRUPTED", 1524: "ER_PLUGIN_IS_NOT_LOADED", 1698: "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
	1862: "ER_MUST_CHANGE_PASSWORD_LOGIN", 1927: "ER_CONNECTION_KILLED", 3024: "ER_QUERY_TIMEOUT",
	3032: "ER_SERVER_OFFLINE_MODE", 3118: "ER_ACCOUNT_HAS_BEEN_LOCKED", 3159: "ER_SECURE_TRANSPORT_REQUIRED",
	3169: "ER_SESSION_WAS_KILLED", 4031: "ER_CLIENT_INTERACTION_TIMEOUT",
	4081: "ER_GLOBAL_CONN_LIMIT", 4082: "ER_CONN_LIMIT", 2003: "CR_CONN_HOST_ERROR",
}

// codeName names an ERR by its code and, where known, its symbol. Above 4000
// the two servers use the same numbers for different things.
func codeName(code uint16, mariaDB bool) string {
	if name := codeNames[code]; name != "" && !(mariaDB && code >= 4000) {
		return fmt.Sprintf("ERR %d %s", code, name)
	}
	return fmt.Sprintf("ERR %d", code)
}
