"""Sources of images: folders, tables, arrays, MedMNIST files and phantoms."""
