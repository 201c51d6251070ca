"""One file a migration; the newest is :data:`federation.database.models.SCHEMA`."""
