package cause

import "strings"

// library is what advice needs to know of a client library: by which names its
// users know the things that every library has.
type library struct {
	names []string // how it calls itself in _client_name, lower case, or the beginning of it
	share string   // how each user gets a connection of its own
	rows  string   // how a result is finished
	more  string   // how further results are read
	idle  string   // how idle connections are closed in time
	most  string   // how the number of connections is bounded
	stall string   // what holds the client up between two steps of a login
}

// busy is stall without what is of the login alone.
func (l *library) busy() string {
	s, _, _ := strings.Cut(l.stall, ", too many connections")
	s, _, _ = strings.Cut(s, ", or too many")
	return s
}

var goLibrary = library{
	share: "Share *sql.DB, which gives each user a connection of its own; do not share a *sql.Conn, *sql.Tx or *sql.Rows, or a statement prepared on one of them, among goroutines without a lock. " +
		"Look for `go` statements and errgroups inside a transaction, and for a context's callback that uses the connection.",
	rows: "Close the rows before the next statement of the same transaction or connection (defer rows.Close() right after Query; QueryRow needs its Scan), or read them into a slice first. Use a second connection if both must run at once. " +
		"rowserrcheck and sqlclosecheck find forgotten ones.",
	more: "Go through all results (for rows.NextResultSet() {…}) or close the rows, also after CALL: a stored procedure always ends with a result of its own. Without need, leave multiStatements out of the DSN.",
	idle: "Set SetConnMaxIdleTime below",
	most: "Cap each pool with SetMaxOpenConns",
	stall: "CPU throttling of the container (cpu.stat nr_throttled; GOMAXPROCS above the CPU limit), a blocked or overloaded host, a frozen VM, " +
		"too many connections being made at once (SetMaxOpenConns, SetMaxIdleConns), or a TLS callback that waits for something else",
}

// libraries are clients that name themselves. What is said of them is what their
// manuals call it.
var libraries = []library{
	{
		names: []string{"aiomysql", "asyncmy"},
		share: "Take a connection for each task from the pool (async with pool.acquire() as conn); do not run two coroutines on one connection: look for asyncio.gather, create_task and a session that is shared. With SQLAlchemy, an AsyncSession for each task.",
		rows:  "Read the result to its end (fetchall) or close the cursor before the next statement on the same connection.",
		more:  "Go through all results (await cursor.nextset()) before the next statement, also after CALL.",
		idle:  "Set pool_recycle (aiomysql.create_pool, or SQLAlchemy's create_async_engine, with pool_pre_ping) below",
		most:  "Cap each pool (maxsize; with SQLAlchemy pool_size and max_overflow)",
		stall: "a blocked event loop (a call that does not await: requests, time.sleep, a large computation or JSON; PYTHONASYNCIODEBUG=1 names what took longer than 100 ms), CPU throttling of the container (cpu.stat nr_throttled), an overloaded host, a frozen VM, or too many connections being made at once",
	},
	{
		names: []string{"pymysql", "mysqlclient", "mysql-connector-python"},
		share: "Give each thread or task a connection of its own: a DB-API connection must not be shared without a lock (threadsafety is 1). Look for a connection in a global variable, and for a fork after it was made.",
		rows:  "Read the result to its end (fetchall) or close the cursor before the next statement on the same connection; SSCursor needs it most.",
		more:  "Go through all results (cursor.nextset()) before the next statement, also after CALL.",
		idle:  "Set the pool's limit (SQLAlchemy: pool_recycle, with pool_pre_ping) below",
		most:  "Cap each pool (SQLAlchemy: pool_size and max_overflow)",
		stall: "CPU throttling of the container (cpu.stat nr_throttled), an overloaded host, a frozen VM, a thread that holds the GIL, or too many connections being made at once",
	},
	{
		names: []string{"mysql connector/j", "mariadb connector/j", "mariadb connector/r2dbc"},
		share: "Give each thread a java.sql.Connection of its own from the pool and close it after each use.",
		rows:  "Close the ResultSet before the next statement on the same Connection (try-with-resources); streaming results (fetch size) need it most.",
		more:  "Go through all results (Statement.getMoreResults()) before the next statement, also after CALL.",
		idle:  "Set the pool's limits (HikariCP: maxLifetime, and idleTimeout or keepaliveTime) below",
		most:  "Cap each pool (HikariCP: maximumPoolSize)",
		stall: "CPU throttling of the container (cpu.stat nr_throttled), a long pause of the garbage collector, an overloaded host, a frozen VM, or too many connections being made at once",
	},
	{
		names: []string{"node-mysql", "mariadb connector/node"},
		share: "Take a connection for each task from the pool (pool.getConnection(), and release() it); do not run a transaction's statements beside others on one connection.",
		rows:  "Read the stream to its end, or destroy it, before the next statement on the same connection.",
		more:  "Read all results before the next statement, also after CALL.",
		idle:  "Set the pool's idleTimeout below",
		most:  "Cap each pool (connectionLimit)",
		stall: "a blocked event loop (a long synchronous computation or JSON), CPU throttling of the container (cpu.stat nr_throttled), an overloaded host, a frozen VM, or too many connections being made at once",
	},
	{
		names: []string{"mysqlnd"},
		share: "One request uses one connection: look for a handle that is shared with a child process or a fiber.",
		rows:  "Read the result to its end or free it (free(), closeCursor()) before the next statement on the same connection.",
		more:  "Go through all results (next_result(), nextRowset()) before the next statement, also after CALL.",
		idle:  "Make connections for each request, or ping persistent ones before use; keep their age below",
		most:  "Cap the number of workers (pm.max_children)",
		stall: "CPU throttling of the container (cpu.stat nr_throttled), an overloaded host, a frozen VM, or too many workers that connect at once",
	},
}

var anyLibrary = library{
	share: "Give each thread or task a connection of its own; two users of one connection need a lock that is held from the command to the end of its answer.",
	rows:  "Read the result to its end, or close it, before the next statement on the same connection.",
	more:  "Read all results before the next statement, also after CALL: a stored procedure always ends with a result of its own.",
	idle:  "Let the client's pool close idle connections: set its limit below",
	most:  "Cap each pool",
	stall: "CPU throttling of the container (cpu.stat nr_throttled), an overloaded host, a frozen VM, a blocked event loop, or too many connections being made at once",
}

// library returns what the advice to this client is made of.
func (e *Evidence) library() *library {
	if e.ours() {
		return &goLibrary
	}
	name := strings.ToLower(e.Client.Name)
	if strings.HasPrefix(name, "go-mysql-driver") {
		return &goLibrary
	}
	for i := range libraries {
		for _, n := range libraries[i].names {
			if strings.HasPrefix(name, n) {
				return &libraries[i]
			}
		}
	}
	return &anyLibrary
}

// inGo returns ours for a client of which database/sql and go-sql-driver are spoken,
// others for any other.
func (e *Evidence) inGo(ours, others string) string {
	if e.library() == &goLibrary {
		return ours
	}
	return others
}

// who names the client where a sentence speaks of it first, it where it goes on.
func (e *Evidence) who() string {
	if e.ours() {
		return "this process"
	}
	c := e.Client
	c.Local = false
	return c.String()
}

func (e *Evidence) it() string {
	if e.ours() {
		return "this process"
	}
	return "the client"
}
