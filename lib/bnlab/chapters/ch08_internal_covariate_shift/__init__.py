"""Chapter 08, internal covariate shift: its experiments, plots and verdicts."""
