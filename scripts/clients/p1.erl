#!/usr/bin/env escript
%% p1.erl HOST PORT: lawful use by p1_mysql, the client of ejabberd. It leaves without COM_QUIT. TLS=1.
main([Host, Port]) ->
    {ok, _} = application:ensure_all_started(ssl),
    TLS = case os:getenv("TLS") of false -> []; _ -> [{ssl, true}, {verify, verify_none}] end,
    [use(Host, list_to_integer(Port), TLS) || _ <- [1, 2]].

use(Host, Port, TLS) ->
    {ok, C} = p1_mysql_conn:start(Host, Port, "gotest", "secret", "gotest", 20000, fun(_, _, _) -> ok end, TLS),
    Query = fun(S) -> p1_mysql_conn:fetch(C, S, self(), 20000) end,
    {updated, _} = Query("CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)"),
    [{updated, _} = Query(["INSERT INTO t (v) VALUES ('", lists:duplicate(N, $x), "')"]) || N <- [1, 100, 100000]],
    {data, Rows} = Query("SELECT * FROM t"),
    3 = length(p1_mysql:get_result_rows(Rows)),
    {data, None} = Query("SELECT * FROM t WHERE id < 0"),
    0 = length(p1_mysql:get_result_rows(None)),
    {error, _} = Query("SELECT FROM WHERE"),
    {updated, _} = Query("BEGIN"),
    {updated, _} = Query("ROLLBACK"),
    Monitor = erlang:monitor(process, C),
    p1_mysql_conn:stop(C),
    receive {'DOWN', Monitor, process, C, _} -> ok end.
