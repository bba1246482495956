# mysql2.rb HOST PORT: lawful use by Ruby's mysql2. TLS=1.
require 'mysql2'
more = ENV['TLS'] ? { ssl_mode: :required } : {}
2.times do
  c = Mysql2::Client.new(host: ARGV[0], port: ARGV[1].to_i, username: 'gotest', password: 'secret', database: 'gotest', flags: Mysql2::Client::MULTI_STATEMENTS, **more)
  c.query('CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)')
  s = c.prepare('INSERT INTO t (v) VALUES (?)')
  [1, 100, 100_000].each { |n| s.execute('x' * n) }
  raise 'rows' unless c.query('SELECT * FROM t').count == 3
  c.query('SELECT 1; SELECT 2'); c.next_result; c.store_result
  c.query('SELECT SLEEP(0.05)', async: true); c.async_result
  c.query('SELECT * FROM t', stream: true, cache_rows: false).each { |r| r }
  begin; c.query('SELECT FROM WHERE'); raise 'no error'; rescue Mysql2::Error; end
  c.ping
  c.close
end
