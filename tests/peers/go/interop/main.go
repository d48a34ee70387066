// Command interop verifies c2sp.org/tlog-proof files with github.com/transparency-dev: formats parses the file and
// opens its checkpoint, merkle verifies the path. The entry is the caller's to know: --entry, or the log's own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	f_proof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"

	"peers/log"
)

var entryFile = flag.String("entry", "", "file with the logged entry; the log's entry at the proof's index if left out")

func main() { log.Run("interop", check) }

// The files are the arguments, or all of proofs/ in the bundle.
func check(ctx context.Context, l *log.Log) (string, error) {
	files := flag.Args()
	if len(files) == 0 && l.Folder != "" {
		var err error
		if files, err = filepath.Glob(filepath.Join(l.Folder, "proofs", "*.tlog-proof")); err != nil {
			return "", log.Usage(err)
		}
	}
	if len(files) == 0 {
		return "", log.Usage(errors.New("no proof file is named and the bundle has none"))
	}
	cosigned := 0
	for _, file := range files {
		n, err := checkFile(ctx, l, file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		cosigned += n
	}
	return fmt.Sprintf("%d proof files with %d cosignatures", len(files), cosigned), nil
}

func checkFile(ctx context.Context, l *log.Log, file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, log.Usage(err)
	}
	var p f_proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return 0, err
	}
	checkpoint, cosigned, err := l.OpenCheckpoint(p.Checkpoint)
	if err != nil {
		return 0, err
	}
	entry, err := entry(ctx, l, p.Index)
	if err != nil {
		return 0, err
	}
	path := make([][]byte, 0, len(p.Hashes))
	for _, hash := range p.Hashes {
		path = append(path, hash[:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	return cosigned, proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, checkpoint.Size, leaf, path, checkpoint.Hash)
}

func entry(ctx context.Context, l *log.Log, index uint64) ([]byte, error) {
	if *entryFile != "" {
		entry, err := os.ReadFile(*entryFile)
		if err != nil {
			return nil, log.Usage(err)
		}
		return entry, nil
	}
	tiles, err := l.Tiles()
	if err != nil {
		return nil, err
	}
	signed, err := tiles.ReadCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	head, _, err := l.OpenCheckpoint(signed)
	if err != nil {
		return nil, err
	}
	if index >= head.Size {
		return nil, fmt.Errorf("entry %d is not in the log of size %d", index, head.Size)
	}
	bundle, err := client.GetEntryBundle(ctx, tiles.ReadEntryBundle, index/layout.EntryBundleWidth, head.Size)
	if err != nil {
		return nil, err
	}
	place := index % layout.EntryBundleWidth
	if place >= uint64(len(bundle.Entries)) {
		return nil, fmt.Errorf("entry %d is missing in its bundle", index)
	}
	return bundle.Entries[place], nil
}
