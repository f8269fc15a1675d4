"""What ``benchmarks/transfer.py`` measures, and on what."""
