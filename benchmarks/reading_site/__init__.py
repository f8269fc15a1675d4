"""A site of real processes with a study of real-sized images, for the benchmarks of reading."""
