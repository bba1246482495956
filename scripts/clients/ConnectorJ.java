// ConnectorJ.java HOST PORT [OPTION=VALUE...]: lawful use by MariaDB Connector/J. It pipelines: two commands behind each login, and batches.
import java.sql.*;

class ConnectorJ {
  static String url;

  public static void main(String[] a) throws Exception {
    url = "jdbc:mariadb://" + a[0] + ":" + a[1] + "/gotest?user=gotest&password=secret&allowPublicKeyRetrieval=true";
    for (int i = 2; i < a.length; i++) url += "&" + a[i];
    for (String more : new String[] {"", "&useServerPrepStmts=true", "&allowMultiQueries=true", "&useBulkStmts=true", "&rewriteBatchedStatements=true", "&useBatchMultiSend=false"}) use(more);
  }

  static void use(String more) throws Exception {
    try (Connection c = DriverManager.getConnection(url + more); Statement s = c.createStatement()) {
      s.execute("CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)");
      c.setAutoCommit(false);
      try (PreparedStatement p = c.prepareStatement("INSERT INTO t (v) VALUES (?)")) {
        for (int i = 0; i < 300; i++) {
          p.setString(1, "x".repeat(i * 10));
          p.addBatch();
        }
        p.executeBatch();
      }
      c.commit();
      for (int i = 0; i < 250; i++) s.addBatch("UPDATE t SET v = 'y' WHERE id = " + i);
      s.executeBatch();
      // Of a batch, one in the middle fails; the others are answered all the same.
      for (String q : new String[] {"SELECT 1 INTO @a", "SELECT FROM WHERE", "SELECT 2 INTO @a"}) s.addBatch(q);
      try {
        s.executeBatch();
        throw new Error("no error");
      } catch (BatchUpdateException e) {
      }
      c.rollback();
      try (ResultSet r = s.executeQuery("SELECT COUNT(*) FROM t")) {
        if (!r.next() || r.getInt(1) != 300) throw new Error("rows: " + r.getInt(1));
      }
      s.setFetchSize(7); // a result that is read as it comes
      try (ResultSet r = s.executeQuery("SELECT * FROM t")) {
        while (r.next()) r.getString(2);
      }
      if (more.contains("allowMultiQueries")) {
        s.execute("SELECT 1; DO 0; SELECT 2");
        while (s.getMoreResults() || s.getUpdateCount() != -1) {}
      }
      if (!c.isValid(5)) throw new Error("ping");
    }
  }
}
