"""How the programs are seen from outside: metrics, logs and traces."""
