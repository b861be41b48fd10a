"""Analysis of finished runs: statistics, claims and reports."""
