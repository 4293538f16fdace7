"""The HTTP edge: where a garage's customers sign in to the portal and ask for a document."""
