"""Settings of the server, `python -m nmt.serve`. They are no settings of a run: each is an argument of the
command.
"""

from dataclasses import dataclass

from nmt.config.schema import option


@dataclass
class ServerConfig:
    """Where it listens, and what one client may ask of it."""

    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0: reachable from other machines")
    port: int = option(8000, "port to listen on (0: any that is free)", at_least=0, at_most=65535)
    allow_origin: list[str] = option(
        [], "let pages of this origin, such as https://example.org, use the server from a browser (*: of any)"
    )
    batch_size: int = option(4096, "what is translated together, in source pieces × beam size", at_least=1)
    processes: int = option(
        0,
        "processes that translate for a model, a batch at a time, each with its copy of the model; they "
        "share its CPU threads; 0: the server itself translates",
        at_least=0,
        at_most=64,
    )
    queue_size: int = option(
        100_000,
        "what may wait for a model or be in translation, in source pieces × beam size; beyond: status 503",
        at_least=1,
    )
    max_beam_size: int = option(
        64, "largest beam_size, nbest, mbr_size or count of a request; beyond: status 400", at_least=1
    )
    max_texts: int = option(1000, "most texts in a request; beyond: status 413", at_least=1)
    max_body: int = option(256 * 1024, "largest body of a request in bytes; beyond: status 413", at_least=1)
    body_timeout: float = option(
        10.0, "seconds for a client to send a request; beyond: status 408", above=0, at_most=3600
    )
    timeout: float = option(
        60.0, "seconds for an answer, waiting included; beyond: status 504", above=0, at_most=3600
    )
    idle_timeout: int = option(
        5, "seconds after which a connection without a request is closed", at_least=1, at_most=3600
    )
    drain_timeout: int = option(
        30, "seconds to finish what was accepted before SIGTERM or Ctrl-C", at_least=0, at_most=3600
    )
    max_connections: int = option(1000, "most connections at a time; beyond: status 503", at_least=1)
