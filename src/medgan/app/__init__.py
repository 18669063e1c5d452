"""The Streamlit app: generate, score, compare, look at data, train."""
