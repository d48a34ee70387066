// Command sumdb checks a log with the code that guards the Go checksum database: golang.org/x/mod/sumdb/note opens the
// checkpoint, golang.org/x/mod/sumdb/tlog authenticates every tile, builds the proofs and checks them.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"peers/log"
)

const (
	// Go's paths name the height, C2SP's do not: tile/8/0/000 is tile/0/000 and tile/8/data/000 is tile/entries/000.
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	// The tree parser of tlog wants the database's own first line in place of an origin.
	treeOrigin = "go.sum database tree"
)

func main() { log.Run("sumdb", check) }

func check(_ context.Context, l *log.Log) (string, error) {
	tree, err := head(l)
	if err != nil {
		return "", err
	}
	tiles := &tileReader{log: l, known: map[tlog.Tile][]byte{}}
	hashes := tlog.TileHashReader(tree, tiles)
	records, proofs, err := checkRecords(l, tree, hashes)
	if err != nil {
		return "", err
	}
	trees, err := checkTrees(tree, hashes)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("size %d: %d records against %d authenticated tiles, %d record proofs, %d tree proofs",
		tree.N, records, len(tiles.known), proofs, trees), nil
}

func head(l *log.Log) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(l.Key)
	if err != nil {
		return tlog.Tree{}, log.Usage(err)
	}
	signed, err := l.Read("checkpoint")
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != l.Origin {
		return tlog.Tree{}, fmt.Errorf("checkpoint of %q, not of %q", origin, l.Origin)
	}
	tree, err := tlog.ParseTree([]byte(treeOrigin + "\n" + rest))
	if err != nil {
		return tree, fmt.Errorf("checkpoint: %w", err)
	}
	if empty, _ := tlog.TreeHash(0, nil); tree.N == 0 && tree.Hash != empty {
		return tree, errors.New("an empty tree with a root that is not the empty hash")
	}
	return tree, nil
}

// Every record is compared with its authenticated leaf hash; a proof is made and checked for those on the stride.
func checkRecords(l *log.Log, tree tlog.Tree, hashes tlog.HashReader) (records, proofs int64, err error) {
	stride := int64(log.Stride(uint64(tree.N)))
	for first := int64(0); first < tree.N; first += tileWidth {
		width := min(tree.N-first, tileWidth)
		entries, err := readEntries(l, first/tileWidth, int(width))
		if err != nil {
			return records, proofs, err
		}
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return records, proofs, fmt.Errorf("leaves from %d: %w", first, err)
		}
		for i, entry := range entries {
			n, hash := first+int64(i), tlog.RecordHash(entry)
			if hash != leaves[i] {
				return records, proofs, fmt.Errorf("record %d is not the leaf in its tile", n)
			}
			records++
			if n%stride != 0 && n != tree.N-1 {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, n, hashes)
			if err == nil {
				err = tlog.CheckRecord(proof, tree.N, tree.Hash, n, hash)
			}
			if err != nil {
				return records, proofs, fmt.Errorf("record %d: %w", n, err)
			}
			proofs++
		}
	}
	return records, proofs, nil
}

func checkTrees(tree tlog.Tree, hashes tlog.HashReader) (int, error) {
	trees := 0
	for _, older := range log.OlderSizes(uint64(tree.N)) {
		// The empty tree is a prefix of every tree; tlog has no proof of it.
		n := int64(older)
		if n == 0 {
			continue
		}
		hash, err := tlog.TreeHash(n, hashes)
		if err != nil {
			return trees, fmt.Errorf("root of size %d: %w", n, err)
		}
		proof, err := tlog.ProveTree(tree.N, n, hashes)
		if err == nil {
			err = tlog.CheckTree(proof, tree.N, tree.Hash, n, hash)
		}
		if err != nil {
			return trees, fmt.Errorf("size %d in %d: %w", n, tree.N, err)
		}
		trees++
	}
	return trees, nil
}

// tileReader fetches tiles for tlog; what is in known was authenticated by it.
type tileReader struct {
	log   *log.Log
	known map[tlog.Tile][]byte
}

func (r *tileReader) Height() int { return tileHeight }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		bytes, ok := r.known[tile]
		if !ok {
			var err error
			var wider bool
			if bytes, wider, err = readWide(r.log, tile); err != nil {
				return nil, err
			}
			if length := tile.W * tlog.HashSize; wider && len(bytes) > length {
				bytes = bytes[:length]
			}
		}
		data[i] = bytes
	}
	return data, nil
}

func (r *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		r.known[tile] = data[i]
	}
}

// A log may drop a partial file once the full one exists, so the full one's beginning stands for it.
func readWide(l *log.Log, tile tlog.Tile) (data []byte, wider bool, err error) {
	data, err = l.Read(path(tile))
	if errors.Is(err, fs.ErrNotExist) && tile.W < tileWidth {
		wide := tile
		wide.W = tileWidth
		if data, fullErr := l.Read(path(wide)); fullErr == nil {
			return data, true, nil
		}
	}
	return data, false, err
}

func path(tile tlog.Tile) string {
	name := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	if after, ok := strings.CutPrefix(name, "data/"); ok {
		name = "entries/" + after
	}
	return "tile/" + name
}

// An entry bundle is C2SP's own form, which x/mod does not read: two bytes of length, then the entry.
func readEntries(l *log.Log, index int64, width int) ([][]byte, error) {
	tile := tlog.Tile{H: tileHeight, L: -1, N: index, W: width}
	data, wider, err := readWide(l, tile)
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, width)
	for len(entries) < width {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s ends within entry %d", path(tile), len(entries))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if len(data) > 0 && !wider {
		return nil, fmt.Errorf("%s has %d bytes after its last entry", path(tile), len(data))
	}
	return entries, nil
}
