"""Spreads the times of a store over weeks, so that its pictures look lived in: python3 age.py DATABASE DAYS"""
import sqlite3
import sys
import time

database, days = sys.argv[1], float(sys.argv[2])
connection = sqlite3.connect(database)
now = int(time.time() * 1000)
begun = connection.execute("SELECT min(at) FROM audit").fetchone()[0]
span = max(now - begun, 1)


def aged(at):
    """The newest stay new, and the oldest become as old as said."""
    return int(now - ((now - at) / span) ** 3 * days * 24 * 3600 * 1000)


connection.create_function("aged", 1, aged)
tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
for name, _ in triggers:
    connection.execute(f'DROP TRIGGER "{name}"')
for table in tables:
    if table in ("sessions", "signing_keys", "settings", "upstreams"):
        continue
    for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
        if kind == "INTEGER":
            connection.execute(
                f'UPDATE "{table}" SET "{column}" = aged("{column}") WHERE "{column}" BETWEEN {begun} AND {now}'
            )
for _, sql in triggers:
    connection.execute(sql)
connection.commit()
