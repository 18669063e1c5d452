"""Serve the Streamlit page on this machine only: `make app`.

As it comes, Streamlit asks web services for the outer address of the machine where a request comes
from another origin. It then also allows that address, which this page never has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit import net_util
from streamlit.web import cli

OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.enableXsrfProtection": "true",
    "server.maxUploadSize": "20",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "viewer",
    "runner.magicEnabled": "false",
    # Captions have 60 % of this: with Streamlit's own color their contrast is under 4.5 to 1.
    "theme.light.textColor": "#0b0f14",
}


def no_address() -> None:
    """Stand in for the address of this machine in a network."""


def main() -> None:
    """Run `streamlit run` on the page, with further options of the command line."""
    net_util.get_external_ip = net_util.get_internal_ip = no_address
    options = [word for name, value in OPTIONS.items() for word in (f"--{name}", value)]
    sys.argv[1:] = ["run", str(Path(__file__).with_name("main.py")), *options, *sys.argv[1:]]
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
