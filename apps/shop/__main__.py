"""`make shop`: the live site's API with a page over it, on this machine; its address is printed."""

import argparse
import sys
from pathlib import Path

from apps.api.__main__ import one_off_key, serve
from nightmarket.contracts import InputError
from tasks.pipeline import settings


def main(arguments: list[str] | None = None, factory: str = "apps.shop.application:create") -> int:
    """Exit code 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m apps.shop", description="A shop window over the live site's API.")
    parser.add_argument("--port", type=int, help="in place of serve.port; 0: a free one")
    port = parser.parse_args(arguments).port
    try:
        given = settings.serve() if Path("params.yaml").exists() else settings.Serve()
        asked = {"host": "127.0.0.1", "workers": 1, **({} if port is None else {"port": port})}
        shown = f"/shop#key={one_off_key()}"
        serve(settings.Serve.model_validate({**given.model_dump(), **asked}), factory, shown)
    except (InputError, ValueError) as error:
        print(f"nightmarket: shop: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
