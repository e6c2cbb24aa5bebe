"""The report page: what it holds, as typed records (`records`, `content`), and the file that shows it (`document`)."""
