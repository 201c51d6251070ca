"""Tables of what a server keeps; they live beside others in one database."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = 1
"""Grows when these tables change; a database of a newer one is refused."""

METADATA = MetaData()
VERSION = Table("durable_schema", METADATA, Column("version", Integer, primary_key=True))
RUNS = Table(
    "durable_runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run", String(64), nullable=False, unique=True),
    Column("fingerprint", String(64), nullable=False, index=True),
    Column("identity", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("owner", String(64), nullable=False),
    Column("started", String(32), nullable=False),
    Column("round", Integer),
    Column("state", LargeBinary),
    Column("digest", String(64)),
)
"""One run each: what its numbers depend on, who runs it, and its state after ``round``."""
ROUNDS = Table(
    "durable_rounds",
    METADATA,
    Column("run", String(64), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("record", Text, nullable=False),
    Column("journal", LargeBinary, nullable=False),
)
"""What each round did; written in the transaction of its checkpoint."""
PAYMENTS = Table(
    "durable_payments",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("identity", String(160), nullable=False, index=True),
    Column("run", String(64), nullable=False),
    Column("round", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    UniqueConstraint("identity", "run", "round"),
)
"""Micro-credits paid; a round that is run again cannot be paid again."""
UPLOADS = Table(
    "durable_uploads",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("identity", String(160), nullable=False, index=True),
    Column("run", String(64), nullable=False),
    Column("round", Integer, nullable=False),
    Column("mu", Float),
    Column("sampled", Text),
    UniqueConstraint("identity", "run", "round"),
)
"""Noised uploads that were merged, and what each cost; without either cost it is unbounded."""
EVIDENCE = Table(
    "durable_evidence",
    METADATA,
    Column("identity", String(160), primary_key=True),
    Column("run", String(64), nullable=False),
    Column("slots", Text, nullable=False),
)
"""The last slots of evidence about an identity, for its reputation in runs to come."""
