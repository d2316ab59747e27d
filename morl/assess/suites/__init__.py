"""Suites: each asks one question of a reward, and answers it in a finding."""
