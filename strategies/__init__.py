"""How the federation decides: pure mechanisms, and Flower strategies that wrap one another."""
