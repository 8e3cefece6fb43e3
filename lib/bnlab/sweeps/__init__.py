"""Many runs, one tidy table."""
