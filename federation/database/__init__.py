"""The results database: every run, round by round, in SQLite or any database of SQLAlchemy's."""
