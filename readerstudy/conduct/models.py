"""This room keeps no tables of its own."""
