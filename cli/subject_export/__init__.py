"""The export of one person: an archive of JSON, files and a page that people can read."""
