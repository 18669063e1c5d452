"""Sources of images: folders, tables, arrays, MedMNIST files, phantoms and medigan."""
