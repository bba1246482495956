// connector.cpp HOST PORT: lawful use by MySQL Connector/C++ 1.1. TLS=1 with CA, COMPRESS=1.
#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

static int rows(sql::ResultSet *r) {
  std::unique_ptr<sql::ResultSet> owned(r);
  int n = 0;
  while (r->next()) n++;
  return n;
}

static void check(bool ok, const char *what) {
  if (!ok) throw std::runtime_error(what);
}

static void use(sql::Connection &c) {
  std::unique_ptr<sql::Statement> s(c.createStatement());
  s->execute("CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)");
  std::unique_ptr<sql::PreparedStatement> p(c.prepareStatement("INSERT INTO t (v) VALUES (?)"));
  for (int n : {1, 100, 100000}) {
    p->setString(1, std::string(n, 'x'));
    p->executeUpdate();
  }
  check(rows(s->executeQuery("SELECT * FROM t")) == 3, "rows");
  std::unique_ptr<sql::PreparedStatement> q(c.prepareStatement("SELECT id FROM t WHERE id > ?"));
  q->setInt(1, 1);
  check(rows(q->executeQuery()) == 2, "rows of the prepared statement");
  bool failed = false;
  try {
    s->execute("SELECT FROM WHERE");
  } catch (sql::SQLException &) {
    failed = true;
  }
  check(failed, "no error");
  c.setAutoCommit(false);
  c.rollback();
  check(c.isValid(), "ping");
  c.setSchema("gotest");
}

int main(int argc, char **argv) try {
  if (argc != 3) return 2;
  sql::ConnectOptionsMap o;
  o["hostName"] = sql::SQLString(std::string("tcp://") + argv[1] + ":" + argv[2]);
  o["userName"] = sql::SQLString("gotest");
  o["password"] = sql::SQLString("secret");
  o["schema"] = sql::SQLString("gotest");
  if (getenv("COMPRESS")) o["CLIENT_COMPRESS"] = true;
  if (getenv("TLS")) o["sslCA"] = sql::SQLString(getenv("CA"));
  for (int i = 0; i < 2; i++) {
    std::unique_ptr<sql::Connection> c(get_driver_instance()->connect(o));
    use(*c);
    c->close();
  }
} catch (std::exception &e) {
  std::cerr << "error: " << e.what() << "\n";
  return 1;
}
