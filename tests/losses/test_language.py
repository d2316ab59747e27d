from math import log

import jax.numpy as jnp
import numpy as np

from morl.losses import next_token_loss


def test_next_token_loss_of_uniform_logits_is_log_vocabulary():
    targets = jnp.array([[1, 99]])
    mask = jnp.array([[True, False]])
    got = next_token_loss(jnp.zeros((1, 2, 8)), targets, mask)
    np.testing.assert_allclose(got.mean, log(8), rtol=1e-6)
