"""``rtt discriminator serve FOLDER``: one discriminator for all processes of a training run, or of several."""

from __future__ import annotations

import click


@click.command(context_settings={"max_content_width": 100})
@click.argument("folder")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(1, 65535), help="Port to listen at.")
@click.option("--device", default="cpu", show_default=True, help="Where it runs, such as cuda:1.")
def serve(folder: str, host: str, port: int, device: str) -> None:
    """Answer for a discriminator over HTTP, on a device of its own.

    FOLDER is what `rtt discriminator train` wrote, or a hub id of such a folder. Requests are answered one after the
    other; the answers are those of a discriminator in the asking process.

    \b
    Here, and on another machine of a network of your own:
        rtt discriminator serve runs/discriminator/joint/model --device cuda:7
        rtt discriminator serve runs/discriminator/joint/model --device cuda --host 10.0.0.5
    \b
    Ask it:
        rtt train config.yaml --relevance discriminator --relevance_model http://127.0.0.1:8765
        rtt relevance tasks.jsonl responses.jsonl --relevance discriminator --model http://127.0.0.1:8765

    There is no key: whoever reaches the address may ask. By default only this machine does.
    """
    import torch
    import uvicorn

    from rtt.errors import ConfigurationError
    from rtt.relevance.discriminator.model import Discriminator, fingerprint
    from rtt.relevance.discriminator.server import MAX_CONNECTIONS, application

    try:
        discriminator = Discriminator.from_pretrained(folder, device=torch.device(device))
    except (RuntimeError, AssertionError) as error:  # torch's, of a device that is none or is not there
        raise ConfigurationError(f"--device {device}: {error}") from error
    name = fingerprint(folder)
    click.echo(f"discriminator {name[:12]} at http://{host}:{port}", err=True)
    app = application(discriminator, name)
    uvicorn.run(app, host=host, port=port, access_log=False, limit_concurrency=MAX_CONNECTIONS)
