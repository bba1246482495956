"""seed.py stall|gather|reconnect HOST PORT: what the project began with, by sqlalchemy and aiomysql.

stall: the event loop is blocked for three seconds in the middle of a login. gather: three queries at once on one
connection. reconnect: nothing is wrong. TLS=1 and SSLKEYLOGFILE as in python.py."""
import asyncio, os, ssl, sys, time

import aiomysql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

what, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
args = {}
if os.environ.get("TLS"):
    args["ssl"] = ssl.create_default_context()
    args["ssl"].check_hostname, args["ssl"].verify_mode = False, ssl.CERT_NONE
    if os.environ.get("SSLKEYLOGFILE"):
        args["ssl"].keylog_filename = os.environ["SSLKEYLOGFILE"]
engine = create_async_engine(f"mysql+aiomysql://gotest:secret@{host}:{port}/gotest", connect_args=args)


async def connect():
    async with engine.connect() as c:
        return await c.scalar(text("SELECT 1"))


async def block():
    """What another coroutine does: it computes, or calls something that waits, for three seconds."""
    asyncio.get_running_loop().call_soon(time.sleep, 3)
    await asyncio.sleep(0)


async def stall():
    # Between the greeting and the login; with TLS, behind its handshake.
    lib = aiomysql.connection
    login, dial = lib.Connection._request_authentication, lib._open_connection

    async def blocked_login(self):
        if not args:
            await block()
        await login(self)

    async def blocked_dial(*a, **kw):
        ends = await dial(*a, **kw)
        if kw.get("ssl"):
            await block()
        return ends

    lib.Connection._request_authentication, lib._open_connection = blocked_login, blocked_dial
    try:
        await connect()
        print("no error")
    except Exception as e:
        print(type(e).__name__, str(e).splitlines()[0])


async def gather():
    c = await aiomysql.connect(host=host, port=port, user="gotest", password="secret", db="gotest", **args)

    async def query(s):
        async with c.cursor() as cur:
            await cur.execute(s)
            return (await cur.fetchall())[0][0]

    print(await asyncio.gather(*(query(f"SELECT '{x}' FROM (SELECT SLEEP(0.2)) slow") for x in "ABC"), return_exceptions=True))
    print("SELECT 'after' →", await query("SELECT 'after'"))
    c.close()


async def reconnect():
    for _ in range(5):
        await connect()
        await engine.dispose()


asyncio.run({"stall": stall, "gather": gather, "reconnect": reconnect}[what]())
