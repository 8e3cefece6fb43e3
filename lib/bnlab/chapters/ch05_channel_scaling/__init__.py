"""Chapter 05, channel scaling."""
