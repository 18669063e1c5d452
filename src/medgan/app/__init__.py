"""The Streamlit page: draw images from trained generators, score an image of one's own."""
