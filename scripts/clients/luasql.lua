-- luasql.lua HOST PORT: lawful use by LuaSQL's mysql. COMPRESS=1.
local mysql = require('luasql.mysql').mysql()
local flags = os.getenv('COMPRESS') and 32 or 0 -- CLIENT_COMPRESS
for _ = 1, 2 do
  local c = assert(mysql:connect('gotest', 'gotest', 'secret', arg[1], tonumber(arg[2]), nil, flags))
  assert(c:execute('CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)'))
  for _, n in ipairs({1, 100, 100000}) do
    assert(c:execute("INSERT INTO t (v) VALUES ('" .. ('x'):rep(n) .. "')"))
  end
  local rows, n = assert(c:execute('SELECT * FROM t')), 0
  while rows:fetch({}, 'a') do n = n + 1 end
  assert(n == 3, 'rows')
  rows:close()
  assert(not c:execute('SELECT FROM WHERE'), 'no error')
  assert(c:setautocommit(false))
  assert(c:rollback())
  assert(c:close())
end
mysql:close()
