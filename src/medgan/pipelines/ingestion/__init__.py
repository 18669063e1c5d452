"""List and read the images of a source: manifest, quarantine, profile."""
