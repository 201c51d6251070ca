"""How the tables came to be, step by step; run on opening, each in one transaction."""
