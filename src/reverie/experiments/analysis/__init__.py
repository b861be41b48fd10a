"""What finished runs say: statistics, claims, reports."""
