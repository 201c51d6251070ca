"""Runs with their rounds, markets, reputations and privacy."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("command", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("dataset", sa.String(32), nullable=False),
        sa.Column("strategy", sa.String(200), nullable=False),
        sa.Column("attack", sa.String(200)),
        sa.Column("epsilon", sa.Double()),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("accuracy", sa.Double()),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
    )
    op.create_index("runs_by_key", "runs", ["key"])
    _create(
        "rounds",
        _round(),
        *(
            sa.Column(name, sa.Double())
            for name in ("accuracy", "loss", "sensitivity", "specificity", "auc")
        ),
        sa.Column("replies", sa.Integer()),
        sa.Column("unused", sa.Integer()),
        sa.Column("seconds", sa.Double()),
        sa.Column("record", sa.Text(), nullable=False),
    )
    _create(
        "participants",
        _name(),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("attacker", sa.Boolean(), nullable=False),
    )
    _create(
        "offers",
        _round(),
        _name(),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.Integer()),
    )
    _create(
        "awards",
        _round(),
        _name(),
        sa.Column("promised", sa.BigInteger()),
        sa.Column("delivered", sa.Boolean(), nullable=False),
    )
    _create("payments", _round(), _name(), sa.Column("amount", sa.BigInteger(), nullable=False))
    _create(
        "ratings",
        _round(),
        _name(),
        sa.Column("visited", sa.BigInteger(), nullable=False),
        sa.Column("complained", sa.BigInteger(), nullable=False),
    )
    _create(
        "reputations",
        _round(),
        _name(),
        sa.Column("reputation", sa.Double(), nullable=False),
        sa.Column("trusted", sa.Boolean()),
    )
    _create(
        "privacy_spent",
        sa.Column("adversary", sa.String(32), primary_key=True),
        sa.Column("sensitivity", sa.String(32), primary_key=True),
        sa.Column("delta", sa.Double(), primary_key=True),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("epsilon", sa.Double()),
    )


def _create(name: str, *columns: "sa.Column[Any]") -> None:
    run = sa.ForeignKey("runs.id", ondelete="CASCADE")
    op.create_table(name, sa.Column("run_id", sa.Integer(), run, primary_key=True), *columns)


def _round() -> "sa.Column[int]":
    return sa.Column("round", sa.Integer(), primary_key=True, autoincrement=False)


def _name() -> "sa.Column[str]":
    return sa.Column("participant", sa.String(128), primary_key=True)
