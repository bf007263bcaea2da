"""How Kafka is reached: the client's settings, and its errors in one line."""

import logging
from typing import Any

from confluent_kafka import KafkaError

from horoscope.errors import InputError
from horoscope.settings import Settings

Config = dict[str, Any]
"""librdkafka's settings, by the names in its CONFIGURATION.md."""

# librdkafka's own log is for who looks for it: what matters comes as an error, and is said once.
_library_log = logging.getLogger("horoscope.librdkafka")
_library_log.setLevel(logging.CRITICAL + 1)


def client_config(settings: Settings) -> Config:
    """What every client has in common. Raises InputError if a file is not there."""
    config: Config = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "horoscope",
        "logger": _library_log,
        # A broker that comes back is found within a second or two, and not asked in a busy loop.
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
        # A broker that froze, or whose machine is gone, is given up after that.
        "socket.timeout.ms": 20_000,
        "allow.auto.create.topics": False,
    }
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_sasl_password:
        config |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_sasl_username,
            "sasl.password": settings.kafka_sasl_password.get_secret_value(),
        }
    files = {
        "ssl.ca.location": ("SSL_CA", settings.kafka_ssl_ca),
        "ssl.certificate.location": ("SSL_CERTIFICATE", settings.kafka_ssl_certificate),
        "ssl.key.location": ("SSL_KEY", settings.kafka_ssl_key),
    }
    for name, (setting, path) in files.items():
        if path:
            if not path.is_file():
                raise InputError(f"HOROSCOPE_KAFKA_{setting}: there is no file {path}.")
            config[name] = str(path)
    return config


def in_one_line(error: KafkaError) -> str:
    """What went wrong, and what to do about it where that is known."""
    said = " ".join(error.str().split())
    hint = _HINTS.get(error.code())
    return f"{said} ({hint})" if hint else said


_RIGHTS = "grant the login this right, see docs/protocol.md"
_HINTS = {
    KafkaError._AUTHENTICATION: "check HOROSCOPE_KAFKA_SASL_USERNAME and _PASSWORD",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check HOROSCOPE_KAFKA_SASL_USERNAME and _PASSWORD",
    KafkaError._SSL: "check HOROSCOPE_KAFKA_SSL_CA and _SECURITY_PROTOCOL",
    KafkaError._RESOLVE: "check HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _RIGHTS,
    KafkaError.GROUP_AUTHORIZATION_FAILED: _RIGHTS,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _RIGHTS,
}
