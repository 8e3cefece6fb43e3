"""The one style of the book and the shapes that its figures share."""
