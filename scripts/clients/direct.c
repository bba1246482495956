/* direct.c HOST PORT: lawful use by MariaDB Connector/C of what few clients have: mariadb_stmt_execute_direct, which on MariaDB sends a
 * statement's PREPARE and its EXECUTE in one write, without waiting for the id; a bulk execute; a cursor with other commands between its
 * fetches. TLS=1, COMPRESS=1. */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static MYSQL *m;

static void check(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "error: %s: %s\n", what, mysql_error(m));
  exit(1);
}

/* direct prepares and executes sql, and returns how many rows came, -1 if it failed. */
static long direct(const char *sql) {
  MYSQL_STMT *s = mysql_stmt_init(m);
  long rows = -1;
  if (!mariadb_stmt_execute_direct(s, sql, strlen(sql))) {
    rows = 0;
    if (mysql_stmt_field_count(s)) {
      check(!mysql_stmt_store_result(s), "store");
      rows = (long)mysql_stmt_num_rows(s);
    }
  }
  check(!mysql_stmt_close(s), "close");
  return rows;
}

static void parameters(int mariadb) {
  int values[50], i;
  unsigned one = 1, many = 50;
  MYSQL_BIND b;
  MYSQL_STMT *s = mysql_stmt_init(m);
  const char *sql = "INSERT INTO t (n) VALUES (?)";
  memset(&b, 0, sizeof b);
  b.buffer_type = MYSQL_TYPE_LONG;
  b.buffer = values;
  for (i = 0; i < 50; i++) values[i] = i;
  check(!mysql_stmt_attr_set(s, STMT_ATTR_PREBIND_PARAMS, &one) && !mysql_stmt_bind_param(s, &b), "bind");
  check(!mariadb_stmt_execute_direct(s, sql, strlen(sql)), "with parameters");
  check(!mysql_stmt_execute(s), "again");
  check(!mysql_stmt_reset(s) && !mysql_stmt_close(s), "reset");
  if (!mariadb) return; /* MySQL has no bulk execute */
  s = mysql_stmt_init(m);
  check(!mysql_stmt_prepare(s, sql, strlen(sql)), "prepare");
  check(!mysql_stmt_attr_set(s, STMT_ATTR_ARRAY_SIZE, &many) && !mysql_stmt_bind_param(s, &b), "bind many");
  check(!mysql_stmt_execute(s), "bulk");
  check(!mysql_stmt_close(s), "close");
}

static void cursor(void) {
  unsigned long type = CURSOR_TYPE_READ_ONLY, some = 7;
  int n = 0, id;
  MYSQL_BIND b;
  MYSQL_STMT *s = mysql_stmt_init(m);
  const char *sql = "SELECT id FROM t";
  memset(&b, 0, sizeof b);
  b.buffer_type = MYSQL_TYPE_LONG;
  b.buffer = &id;
  check(!mysql_stmt_attr_set(s, STMT_ATTR_CURSOR_TYPE, &type) && !mysql_stmt_attr_set(s, STMT_ATTR_PREFETCH_ROWS, &some), "cursor");
  check(!mysql_stmt_prepare(s, sql, strlen(sql)) && !mysql_stmt_execute(s) && !mysql_stmt_bind_result(s, &b), "open");
  while (!mysql_stmt_fetch(s))
    if (++n % 10 == 0) check(!mysql_ping(m) && !mysql_query(m, "DO 0"), "between two fetches");
  check(n >= 30, "rows of the cursor");
  check(!mysql_stmt_close(s), "close");
}

int main(int argc, char **argv) {
  int i, round, mariadb;
  my_bool yes = 1;
  if (argc != 3) return 2;
  for (round = 0; round < 2; round++) {
    m = mysql_init(NULL);
    if (getenv("TLS")) mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &yes);
    if (getenv("COMPRESS")) mysql_options(m, MYSQL_OPT_COMPRESS, NULL);
    check(mysql_real_connect(m, argv[1], "gotest", "secret", "gotest", atoi(argv[2]), NULL, 0) != NULL, "connect");
    mariadb = strstr(mysql_get_server_info(m), "MariaDB") != NULL;
    check(direct("CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT, v LONGTEXT)") == 0, "create");
    for (i = 0; i < 30; i++) check(direct("INSERT INTO t (v) VALUES (REPEAT('x', 3000))") == 0, "insert");
    check(direct("SELECT * FROM t") == 30, "rows");
    check(direct("SELECT * FROM t WHERE id < 0") == 0, "no rows");
    check(direct("SELECT FROM WHERE") == -1, "an error was due");
    check(direct("SELECT * FROM no_such_table") == -1, "an error was due");
    check(direct("INSERT INTO t (id) VALUES (1)") == -1, "a duplicate was due"); /* prepared well, and fails to execute */
    check(direct("SELECT 1") == 1, "a row");
    parameters(mariadb);
    cursor();
    check(!mysql_change_user(m, "gotest", "secret", "gotest"), "change user");
    check(!mysql_reset_connection(m), "reset connection");
    check(direct("SELECT 2") == 1, "a row behind it");
    mysql_close(m);
  }
  return 0;
}
