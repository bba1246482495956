# rmysql.R HOST PORT: lawful use by RMySQL. COMPRESS=1.
library(DBI)
args <- commandArgs(TRUE)
flags <- if (Sys.getenv('COMPRESS') == '') 0L else RMySQL::CLIENT_COMPRESS
for (i in 1:2) {
  c <- dbConnect(RMySQL::MySQL(), host = args[1], port = as.integer(args[2]), user = 'gotest', password = 'secret', dbname = 'gotest', client.flag = flags)
  dbExecute(c, 'CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)')
  for (n in c(1, 100, 100000)) dbExecute(c, paste0("INSERT INTO t (v) VALUES ('", strrep('x', n), "')"))
  stopifnot(nrow(dbGetQuery(c, 'SELECT * FROM t')) == 3)
  r <- dbSendQuery(c, 'SELECT * FROM t') # a result that is left before its end
  stopifnot(nrow(dbFetch(r, n = 1)) == 1)
  dbClearResult(r)
  stopifnot(inherits(try(dbGetQuery(c, 'SELECT FROM WHERE'), silent = TRUE), 'try-error'))
  if (i == 1) { # by LOAD DATA LOCAL
    dbWriteTable(c, 'r_table', data.frame(a = 1:500, b = strrep('y', 1:500)), overwrite = TRUE, row.names = FALSE)
    stopifnot(nrow(dbReadTable(c, 'r_table')) == 500)
    dbRemoveTable(c, 'r_table')
  }
  dbBegin(c)
  dbRollback(c)
  dbDisconnect(c)
}
