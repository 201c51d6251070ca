"""The server: the round loop, who takes part, which replies count, and the ServerApp."""
