"""What is one chapter's own: experiments (parameters to tidy tables), plots, verdicts. No chapter knows another."""
