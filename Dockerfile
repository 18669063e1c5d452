# medgan with its locked packages, for compose.yml. See docs/deployment.md: not run by us.
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends make git && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home medgan && install --directory --owner medgan /home/medgan/store
WORKDIR /home/medgan/app
COPY --chown=medgan . .
RUN chown medgan .
USER medgan
RUN make install
ENV STREAMLIT_SERVER_HEADLESS=true
EXPOSE 8501 5000
CMD [".venv/bin/python", "-m", "medgan.app", "--server.address", "0.0.0.0"]
