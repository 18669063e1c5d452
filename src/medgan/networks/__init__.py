"""Network architectures for images of any power-of-two side from 32 pixels on."""
