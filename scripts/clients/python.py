"""python.py CLIENT HOST PORT: lawful use of a MySQL connection by pymysql, mysqldb, aiomysql or sqlalchemy.

TLS=1: over TLS without a check of the certificate; COMPRESS=1: compressed (mysqldb). SSLKEYLOGFILE is honoured. LARGE=1: pymysql also
sends and reads 17 MiB, which are two packets."""
import asyncio, os, ssl, sys, tempfile, threading, time

client, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
account = dict(host=host, port=port, user="gotest", password="secret")
tls = None
if os.environ.get("TLS"):
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if os.environ.get("SSLKEYLOGFILE"):
        tls.keylog_filename = os.environ["SSLKEYLOGFILE"]


def use(c, error):
    cur = c.cursor()
    cur.execute("CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)")
    cur.executemany("INSERT INTO t (v) VALUES (%s)", [("x" * i,) for i in range(0, 3000, 100)])
    cur.execute("SELECT * FROM t")
    assert len(cur.fetchall()) == 30
    cur.execute("SELECT * FROM t WHERE id < 0")
    assert len(cur.fetchall()) == 0
    cur.execute("INSERT INTO t (v) VALUES (REPEAT('y', 100000))")
    cur.execute("SELECT v FROM t ORDER BY id DESC LIMIT 1")
    assert len(cur.fetchone()[0]) == 100000
    for bad in ("SELECT FROM WHERE", "SELECT * FROM no_such_table"):
        try:
            cur.execute(bad)
            raise SystemExit("no error for " + bad)
        except error:
            pass
    c.rollback()
    c.ping()
    cur.close()


def more_of_pymysql(connect):
    """Several statements in one, rows that are read one by one and left, LOAD DATA LOCAL, KILL QUERY, and what takes two packets."""
    from pymysql import cursors
    from pymysql.constants import CLIENT

    c = connect(client_flag=CLIENT.MULTI_STATEMENTS, local_infile=True, max_allowed_packet=64 << 20)
    with c.cursor() as cur:
        cur.execute("SELECT 1; DO 0; SELECT 2")
        while cur.nextset():
            pass
        cur.execute("CREATE TEMPORARY TABLE from_file (id INT, v TEXT)")
        with tempfile.NamedTemporaryFile("w") as f:
            f.writelines(f"{i}\trow {i}\n" for i in range(5000))
            f.flush()
            assert cur.execute(f"LOAD DATA LOCAL INFILE '{f.name}' INTO TABLE from_file") == 5000
    with c.cursor(cursors.SSCursor) as cur:
        cur.execute("SELECT * FROM from_file")
        assert len(cur.fetchmany(10)) == 10  # the rest is read when the cursor is closed
    if os.environ.get("LARGE"):
        with c.cursor() as cur:
            cur.execute("SELECT LENGTH(%s), REPEAT('z', 17 << 20)", ("x" * (17 << 20),))
            length, value = cur.fetchone()
            assert length == len(value) == 17 << 20
    killer, slow = connect(), c.thread_id()

    def kill():
        with killer.cursor() as cur:
            while not cur.execute("SELECT 1 FROM information_schema.processlist WHERE id = %s AND info LIKE '%%SLEEP%%'", (slow,)):
                time.sleep(0.05)
            cur.execute("KILL QUERY %d" % slow)

    t = threading.Thread(target=kill)
    t.start()
    with c.cursor() as cur:
        try:
            cur.execute("SELECT SLEEP(60)")
            assert cur.fetchone()[0] == 1  # MySQL's way to say it
        except lib.Error as e:
            assert e.args[0] == 1317
    t.join()
    with c.cursor() as cur:
        cur.execute("SELECT 1")
    killer.close()
    c.close()


if client in ("pymysql", "mysqldb"):
    if client == "pymysql":
        import pymysql as lib
        more = dict(database="gotest", ssl=tls) if tls else dict(database="gotest")
    else:
        import MySQLdb as lib
        more = dict(db="gotest")
        if tls:
            more["ssl"] = {"ca": os.environ["CA"]}
        if os.environ.get("COMPRESS"):
            more["compress"] = True
    for _ in range(3):
        c = lib.connect(**account, **more)
        use(c, lib.Error)
        c.close()
    if client == "pymysql":
        more_of_pymysql(lambda **options: lib.connect(**account, **more, **options))
    lib.connect(**account, **more)  # left to the garbage collector
elif client == "aiomysql":
    import aiomysql

    async def main():
        more = dict(ssl=tls) if tls else {}
        pool = await aiomysql.create_pool(**account, db="gotest", minsize=1, maxsize=4, **more)

        async def one(i):
            async with pool.acquire() as c, c.cursor() as cur:
                await cur.execute("SELECT %s, REPEAT('z', 5000)", (i,))
                assert (await cur.fetchone())[0] == i

        await asyncio.gather(*(one(i) for i in range(40)))
        pool.close()
        await pool.wait_closed()

    asyncio.run(main())
elif client == "sqlalchemy":
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    args = {"ssl": tls} if tls else {}
    url = f"gotest:secret@{host}:{port}/gotest"
    e = sa.create_engine("mysql+pymysql://" + url, connect_args=args)
    for _ in range(3):
        with e.connect() as c:
            assert c.scalar(sa.text("SELECT 1")) == 1
        e.dispose()

    async def main():
        e = create_async_engine("mysql+aiomysql://" + url, connect_args=args)
        for _ in range(5):  # reconnects
            async with e.connect() as c:
                assert await c.scalar(sa.text("SELECT 1")) == 1
            await e.dispose()

    asyncio.run(main())
else:
    raise SystemExit("unknown client " + client)
