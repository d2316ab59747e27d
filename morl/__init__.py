"""Multi-objective reward composition for aligning language models, in JAX."""
