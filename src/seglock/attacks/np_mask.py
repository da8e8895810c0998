"""The NP mask from ciphertexts alone: natural neighbours rise together, negated ones fall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.evaluation.tally import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.attacks.protocol import Facts

_ROWS = 1 << 17


def mask_by_correlation(rows: NDArray[np.uint8], facts: Facts) -> NDArray[np.bool_]:
    """Which positions are negated (n,), up to a global complement.

    The strongest correlations link all positions to one tree, and each link's sign says whether
    its two ends are negated alike. Without SHF the links are those between neighbours in the
    block, so that any block size is feasible; with SHF, where nobody knows the neighbours, all
    pairs.
    """
    if "shf" in facts.methods:
        return mask_by_pairs(rows)
    ends = _neighbours(facts.block_size)
    return _by_links(ends, _link_correlation(rows, ends), facts.positions)


def mask_by_pairs(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The same of any positions (B, k), whichever they are, from the correlations of all pairs."""
    ends = np.stack(np.triu_indices(rows.shape[1], 1))
    return _by_links(ends, correlation(rows)[ends[0], ends[1]], rows.shape[1])


def _by_links(ends: NDArray[np.int64], strength: NDArray[Any], size: int) -> NDArray[np.bool_]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    # The tree is of least weight, and a weight of 0 would be no link.
    weight = 1.001 - np.abs(strength)
    tree = minimum_spanning_tree(coo_array((weight, (ends[0], ends[1])), shape=(size, size)))
    order, parents = breadth_first_order(tree, 0, directed=False)
    negated = np.zeros(size, bool)
    low, high = np.minimum(*ends), np.maximum(*ends)
    link = coo_array((np.arange(len(low)) + 1, (low, high)), shape=(size, size)).tocsr()
    for position in order[1:]:
        parent = parents[position]
        index = link[min(position, parent), max(position, parent)] - 1
        negated[position] = negated[parent] ^ (strength[index] < 0)
    return negated


def settle_complement(
    rows: NDArray[np.uint8], mask: NDArray[np.bool_], photos: NDArray[np.uint8], facts: Facts
) -> NDArray[np.bool_]:
    """The mask or its complement: by the number of negated positions, else by brightness.

    rows: ciphertexts (B, n). photos: plain blocks (C, n). Where both have as many positions, the
    one whose decrypted values are distributed more like those of photos.
    """
    counts = {step.count for step in facts.steps if step.method == "np"}
    if len([s for s in facts.steps if s.method == "np"]) == 1:
        count = counts.pop()
        near, far = abs(int(mask.sum()) - count), abs(int((~mask).sum()) - count)
        if near != far:
            return mask if near < far else ~mask
    return nearer_to_photos(rows, mask, photos)


def nearer_to_photos(
    rows: NDArray[np.uint8], mask: NDArray[np.bool_], photos: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """The mask or its complement, by which decrypted values are distributed more like photos'."""
    read = np.where(mask, 255 - rows, rows)
    usual = _cumulative(photos)
    near = np.abs(_cumulative(read) - usual).sum()
    far = np.abs(_cumulative(255 - read) - usual).sum()
    return mask if near <= far else ~mask


def correlation(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Between all positions, (n, n); constant positions correlate with none."""
    values = _standard(rows)
    matrix: NDArray[np.float64] = (values.T @ values).astype(np.float64) / len(values)
    return matrix


def _standard(rows: NDArray[Any]) -> NDArray[np.float32]:
    values = rows[list(spread(len(rows), _ROWS))].astype(np.float32)
    values -= values.mean(axis=0)
    deviation = values.std(axis=0)
    values /= np.where(deviation > 0, deviation, 1)
    return values


def _neighbours(block_size: int) -> NDArray[np.int64]:
    """Pairs (2, L) of positions one pixel apart, or two channels of one pixel."""
    place = np.arange(3 * block_size**2).reshape(block_size, block_size, 3)
    pairs = [
        (place[1:], place[:-1]),
        (place[:, 1:], place[:, :-1]),
        (place[..., 0], place[..., 1]),
        (place[..., 1], place[..., 2]),
        (place[..., 0], place[..., 2]),
    ]
    return np.concatenate([np.stack([a.reshape(-1), b.reshape(-1)]) for a, b in pairs], axis=1)


def _link_correlation(rows: NDArray[Any], ends: NDArray[np.int64]) -> NDArray[np.float32]:
    values = _standard(rows)
    strength = np.empty(ends.shape[1], np.float32)
    for start in range(0, ends.shape[1], 1 << 12):
        some = ends[:, start : start + (1 << 12)]
        strength[start : start + (1 << 12)] = np.einsum(
            "bi,bi->i", values[:, some[0]], values[:, some[1]]
        ) / len(values)
    return strength


def _cumulative(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    counts = np.bincount(values.reshape(-1), minlength=256)
    share: NDArray[np.float64] = np.cumsum(counts) / counts.sum()
    return share
