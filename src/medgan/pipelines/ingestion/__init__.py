"""Lists and reads the images of a source: manifest, quarantine report, profile."""
