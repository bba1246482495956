<?php
// mysqli.php HOST PORT: lawful use by mysqli and PDO. TLS=1, COMPRESS=1.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
[, $host, $port] = $argv;
$flags = (getenv('COMPRESS') ? MYSQLI_CLIENT_COMPRESS : 0) | (getenv('TLS') ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0);
for ($i = 0; $i < 2; $i++) {
    $c = mysqli_init();
    $c->real_connect($host, 'gotest', 'secret', 'gotest', (int)$port, null, $flags);
    $c->query('CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
    $s = $c->prepare('INSERT INTO t (v) VALUES (?)');
    foreach ([1, 100, 100000] as $n) { $v = str_repeat('x', $n); $s->bind_param('s', $v); $s->execute(); }
    $s->close();
    assert($c->query('SELECT * FROM t')->num_rows == 3);
    $c->multi_query('SELECT 1; DO 0; SELECT 2');
    do { $r = $c->store_result(); } while ($c->more_results() && $c->next_result());
    $c->query('SELECT SLEEP(0.05)', MYSQLI_ASYNC);
    $c->reap_async_query();
    $r = $c->query('SELECT * FROM t', MYSQLI_USE_RESULT); $r->fetch_row(); $r->free();
    $s = $c->prepare('SELECT * FROM t'); $s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
    $s->execute(); while ($s->fetch()); $s->close();
    try { $c->query('SELECT FROM WHERE'); exit('no error'); } catch (mysqli_sql_exception $e) {}
    $c->change_user('gotest', 'secret', 'gotest');
    $c->close();
}
if (!getenv('TLS') && !getenv('COMPRESS')) {
    for ($i = 0; $i < 3; $i++) { // a persistent one, used again by COM_CHANGE_USER
        $c = mysqli_connect("p:$host", 'gotest', 'secret', 'gotest', (int)$port);
        $c->query('SELECT 1')->free(); $c->close();
    }
    $p = new PDO("mysql:host=$host;port=$port;dbname=gotest", 'gotest', 'secret', [PDO::ATTR_EMULATE_PREPARES => false]);
    $s = $p->prepare('SELECT ?'); $s->execute([7]); assert($s->fetchColumn() == 7);
}
