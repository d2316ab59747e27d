import jax
import jax.numpy as jnp

from morl.training import hardware
from morl.training.hardware import on_host


def test_what_is_made_on_the_host_is_on_no_other_device():
    other = jax.devices()[3]
    with jax.default_device(other):
        with on_host():
            made = 2 * jnp.arange(3)
        outside = jnp.arange(3)
    assert made.devices() == {jax.local_devices(backend="cpu")[0]}
    assert outside.devices() == {other}


def test_where_no_processor_is_to_be_seen_arrays_go_where_they_went(monkeypatch):
    def none(**_):
        raise RuntimeError("Unknown backend cpu")

    other = jax.devices()[3]
    with jax.default_device(other):
        monkeypatch.setattr(hardware.jax, "local_devices", none)
        with on_host():
            made = jnp.arange(3)
    assert made.devices() == {other}
