// Package mysqltest gives tests a MySQL server to talk to: a scripted one, a relay that breaks the traffic to a real one, and
// real ones.
//
//   - [Serve] listens on a free port and plays a list of steps: greet, expect the login, answer, delay, reset. What goes over the
//     wire is exactly what the steps say, wrong sequence ids included. See steps.go, packet.go.
//   - [NewRelay] stands between a client and a real server and drops, holds, renumbers, duplicates, injects or cuts. See relay.go.
//   - [ForEachServer], [Shared], [Start] run tests on MySQL 9, MariaDB 10.11 and MariaDB 11.8, on private instances; [Jaeger] and
//     [Router] do it for those. The programs come from the cache that scripts/servers.sh fills. What is missing is skipped, and the
//     message says how to get it; SEQGUARD_REQUIRE_SERVERS=1 makes it a failure. See launch.go.
//
// A test binary that uses real servers ends them in its TestMain:
//
//	func TestMain(m *testing.M) { kit.Main(m) } // or mysqltest.Main, where there is no guarded connection
//
// Nothing here waits for ever: every read and write has a deadline, and processes end with the test binary.
package mysqltest
