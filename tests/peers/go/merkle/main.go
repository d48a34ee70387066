// Command merkle checks a log with github.com/transparency-dev: formats opens the checkpoint and its cosignatures,
// Tessera's client builds the proofs from the tiles, and merkle - the library under Trillian, Rekor and CT - verifies
// them against a root that it also computes from the entries alone.
package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"

	"peers/log"
)

var hasher = rfc6962.DefaultHasher

func main() { log.Run("merkle", check) }

func check(ctx context.Context, l *log.Log) (string, error) {
	tiles, err := l.Tiles()
	if err != nil {
		return "", err
	}
	signed, err := tiles.ReadCheckpoint(ctx)
	if err != nil {
		return "", err
	}
	head, cosigned, err := l.OpenCheckpoint(signed)
	if err != nil {
		return "", err
	}
	leaves, roots, err := rebuild(ctx, tiles, head.Size)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(roots[head.Size], head.Hash) {
		return "", fmt.Errorf("the entries have root %x, the checkpoint says %x", roots[head.Size], head.Hash)
	}
	builder, err := client.NewProofBuilder(ctx, head.Size, tiles.ReadTile)
	if err != nil {
		return "", err
	}
	included, err := checkInclusion(ctx, builder, leaves, head.Hash)
	if err != nil {
		return "", err
	}
	consistent, err := checkConsistency(ctx, builder, head.Size, roots)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("size %d: %d leaves as in the tiles, %d inclusion proofs, %d consistency proofs, %d cosignatures",
		head.Size, len(leaves), included, consistent, cosigned), nil
}

// rebuild hashes every entry, compares it with its level 0 tile, and gives the roots of the older sizes and the head.
func rebuild(ctx context.Context, tiles log.Tiles, size uint64) ([][]byte, map[uint64][]byte, error) {
	older := log.OlderSizes(size)
	roots := map[uint64][]byte{0: hasher.EmptyRoot()}
	tree := (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0)
	leaves := make([][]byte, 0, size)
	for index := uint64(0); index*layout.EntryBundleWidth < size; index++ {
		bundle, err := client.GetEntryBundle(ctx, tiles.ReadEntryBundle, index, size)
		if err != nil {
			return nil, nil, err
		}
		first := index * layout.EntryBundleWidth
		width := min(size-first, layout.EntryBundleWidth)
		stored, err := client.FetchLeafHashes(ctx, tiles.ReadTile, first, width, size)
		if err != nil {
			return nil, nil, err
		}
		// A partial bundle may be answered by the full one that has replaced it.
		if n := uint64(len(bundle.Entries)); n < width || n > layout.EntryBundleWidth {
			return nil, nil, fmt.Errorf("bundle %d has %d entries, not %d", index, n, width)
		}
		for i, hash := range stored {
			leaf := hasher.HashLeaf(bundle.Entries[i])
			if !bytes.Equal(leaf, hash) {
				return nil, nil, fmt.Errorf("entry %d is not the leaf in its tile", first+uint64(i))
			}
			leaves = append(leaves, leaf)
			if err := tree.Append(leaf, nil); err != nil {
				return nil, nil, err
			}
			if slices.Contains(older, tree.End()) {
				if roots[tree.End()], err = tree.GetRootHash(nil); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	return leaves, roots, nil
}

func checkInclusion(ctx context.Context, b *client.ProofBuilder, leaves [][]byte, root []byte) (int, error) {
	size := uint64(len(leaves))
	stride, checked := log.Stride(size), 0
	for index := uint64(0); index < size; index++ {
		if index%stride != 0 && index != size-1 {
			continue
		}
		path, err := b.InclusionProof(ctx, index)
		if err == nil {
			err = proof.VerifyInclusion(hasher, index, size, leaves[index], path, root)
		}
		if err != nil {
			return checked, fmt.Errorf("inclusion of %d: %w", index, err)
		}
		checked++
	}
	return checked, nil
}

func checkConsistency(ctx context.Context, b *client.ProofBuilder, size uint64, roots map[uint64][]byte) (int, error) {
	checked := 0
	for _, older := range log.OlderSizes(size) {
		path, err := b.ConsistencyProof(ctx, older, size)
		if err == nil {
			err = proof.VerifyConsistency(hasher, older, size, path, roots[older], roots[size])
		}
		if err != nil {
			return checked, fmt.Errorf("consistency of %d with %d: %w", older, size, err)
		}
		checked++
	}
	return checked, nil
}
