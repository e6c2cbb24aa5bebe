"""Where data come from: fetching, mirrors, archives, checksums. Imports nothing heavy; HTTP only when a URL is used."""
