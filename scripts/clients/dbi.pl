# dbi.pl mysql|MariaDB HOST PORT: lawful use by DBD::mysql or DBD::MariaDB. COMPRESS=1.
use strict; use DBI;
my ($driver, $host, $port) = @ARGV;
my $prefix = $driver eq 'mysql' ? 'mysql' : 'mariadb';
my $more = $ENV{COMPRESS} ? ";${prefix}_compression=1" : '';
for my $prepare (0, 1) {
    my $d = DBI->connect("DBI:$driver:database=gotest;host=$host;port=$port$more;${prefix}_server_prepare=$prepare", 'gotest', 'secret', {RaiseError => 1, PrintError => 0});
    $d->do('CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
    my $s = $d->prepare('INSERT INTO t (v) VALUES (?)');
    $s->execute('x' x $_) for 1, 100, 100000;
    die 'rows' unless @{$d->selectall_arrayref('SELECT * FROM t')} == 3;
    eval { $d->do('SELECT FROM WHERE'); 1 } and die 'no error';
    $d->ping or die 'ping';
    my $a = $d->prepare('SELECT SLEEP(0.05)', {"${prefix}_async" => 1}); $a->execute; $a->fetchall_arrayref;
    $d->begin_work; $d->rollback; $d->disconnect;
}
