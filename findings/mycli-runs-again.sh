#!/usr/bin/env bash
# mycli-runs-again.sh: mycli 1.26.1 (Debian 12) begins a statement anew if its connection ends while it runs (error 2013). One expects
# the error and a prompt. "Reconnecting..." is all that it says, and:
#
# - KILL does not stop a statement: it runs again at once, under another connection id.
# - What is sent again is the line, not the statement: the statements before it on that line, which were done, are done twice.
# - In a transaction, the line is sent again outside of it. The server has rolled back what was done before; this line is committed by
#   itself, and the COMMIT that follows says "Query OK".
#
# On the server it looks like two clients with the same statement, one after the other.
#
# Run with mycli 1.26.1-3, Debian 12's PyMySQL 1.0.2 below it, and MariaDB 10.11 of the cache (scripts/servers.sh), in a
# pseudo-terminal. Fails if it is otherwise. Needs Debian 12 with its packages, and Python 3. Output seen: at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=1.26.1-3
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23993}
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" >/dev/null
mkdir -p "$dir/program/debs/partial"
cd "$dir/program"
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$PWD/debs" "mycli=$version" \
  python3-pymysql=1.0.2-2+deb12u1 >log 2>&1 || die "$(tail -5 log)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
cat >main.py <<'PY'
import os, pty, signal, sys, threading, time

sys.path.insert(0, "root/usr/lib/python3/dist-packages")
import pymysql

port = sys.argv[1]
watcher = pymysql.connect(host="127.0.0.1", port=int(port), user="gotest", password="secret", database="gotest", autocommit=True)


def query(sql, *values):
    with watcher.cursor() as cursor:
        cursor.execute(sql, values)
        return [row[0] for row in cursor.fetchall()]


def wait(sql, *values):  # until there are rows
    for _ in range(600):
        if rows := query(sql, *values):
            return rows
        time.sleep(0.1)
    raise SystemExit("waited in vain for %s %s\n%s" % (sql, values, screen[-2000:].decode()))


for table in "one", "two":
    query("CREATE TABLE %s (id INT)" % table)
process, terminal = pty.fork()
if process == 0:
    os.environ.update(HOME=os.getcwd(), PYTHONPATH="root/usr/lib/python3/dist-packages", PROMPT_TOOLKIT_NO_CPR="1", PAGER="cat", TERM="xterm")
    program = ["python3", "root/usr/bin/mycli", "-h", "127.0.0.1", "-P", port, "-u", "gotest", "-psecret", "--no-warn", "gotest"]
    os.execv("/usr/bin/python3", program)
screen = b""


def read():
    global screen
    while True:
        try:
            screen += os.read(terminal, 65536)
        except OSError:
            return


threading.Thread(target=read, daemon=True).start()


def line(text):
    os.write(terminal, text.encode() + b"\r")


pause = "SELECT id FROM information_schema.processlist WHERE info LIKE '%%SLEEP(8)%%' AND id <> CONNECTION_ID() AND id > %s"


def kill_once():
    first = wait(pause, 0)[0]
    query("KILL %d" % first)
    return wait(pause, first)[0] > first


line("INSERT INTO one VALUES (1); DO SLEEP(8);")
print("killed: runs again under another id:", kill_once(), end="; ")
line("INSERT INTO one VALUES (2);")  # is read when the line is done
wait("SELECT id FROM one WHERE id = 2")
print("rows of the statement before it:", *query("SELECT COUNT(*) FROM one WHERE id = 1"))
line("BEGIN;")
line("INSERT INTO two VALUES (1);")
line("INSERT INTO two SELECT 2 FROM (SELECT SLEEP(8)) pause;")
kill_once()
line("COMMIT;")
line("INSERT INTO one VALUES (3);")
wait("SELECT id FROM one WHERE id = 3")
print("killed in a transaction: of rows 1 2 there are", *query("SELECT id FROM two ORDER BY id"), end="; ")
print("said:", *sorted({word for word in ("Reconnecting...", "Lost connection", "2013") if word.encode() in screen}))
os.kill(process, signal.SIGKILL)
os.waitpid(process, 0)
PY
"$cache/mariadb1011/bin/mysqld" --version | sed 's/.*Ver/MariaDB/'
out=$(timeout 240 /usr/bin/python3 main.py "$port") || die "$out"
printf 'mycli %s\n%s\n' "$version" "$out"
[ "$out" = 'killed: runs again under another id: True; rows of the statement before it: 2
killed in a transaction: of rows 1 2 there are 2; said: Reconnecting...' ] || die 'that has changed'
