"""One of two processes that train together; prints the parameters it ends with."""

import hashlib
import sys

import jax


def main(strategy, address, number, folder):
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes=2, process_id=int(number))
    import numpy as np

    from morl.training.mesh import MeshSettings
    from tests.training.runs import trained

    fsdp = 2 if strategy == "fsdp" else 1
    route = "jit" if strategy == "fsdp" else strategy
    state, _ = trained(
        route, MeshSettings(fsdp=fsdp), devices=4, num_steps=3, gathered=True
    )
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state.params)]
    digest = hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest()
    np.savez(f"{folder}/{number}.npz", *leaves)
    print(digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
