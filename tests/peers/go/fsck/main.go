// Command fsck rebuilds a log from its entries with the fsck package of github.com/transparency-dev/tessera and
// compares every tile and the root. Tessera's own command logs a failure and exits with 0; this one exits with 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/fsck"
	"k8s.io/klog/v2"

	"peers/log"
)

const (
	// The package's only worker ends at its first finding and then nobody reads the queue of expected tiles, so that
	// its Check may wait for ever. Its status is asked this often, and Check has this long to answer by itself.
	statusEvery = 50 * time.Millisecond
	answerGrace = 2 * time.Second
)

func main() {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	log.Run("fsck", check)
}

func check(ctx context.Context, l *log.Log) (string, error) {
	verifier, err := f_note.NewVerifier(l.Key)
	if err != nil {
		return "", log.Usage(err)
	}
	tiles, err := l.Tiles()
	if err != nil {
		return "", err
	}
	counted := &counter{Tiles: tiles, started: make(chan struct{})}
	f := fsck.New(l.Origin, verifier, counted, leafHashes, fsck.Opts{N: 1})
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("the peer panicked: %v", p)
			}
		}()
		done <- f.Check(ctx)
	}()
	if err := wait(f, counted.started, done); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d tiles rebuilt from %d entry bundles, root as in the checkpoint",
		counted.tiles, counted.bundles), nil
}

func wait(f *fsck.Fsck, started <-chan struct{}, done <-chan error) error {
	// Status may not be asked before Check has set up its tree, which it has when it fetches the first file.
	select {
	case err := <-done:
		return err
	case <-started:
	}
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(statusEvery):
		}
		if finding := finding(f.Status()); finding != nil {
			select {
			case err := <-done:
				return errors.Join(finding, err)
			case <-time.After(answerGrace):
				return finding
			}
		}
	}
}

func finding(s fsck.Status) error {
	for level, ranges := range s.TileRanges {
		for _, r := range ranges {
			if r.State == fsck.Invalid || r.State == fsck.FetchError {
				return fmt.Errorf("tiles of level %d: %s", level, r.String())
			}
		}
	}
	return nil
}

func leafHashes(bundle []byte) ([][]byte, error) {
	parsed := &api.EntryBundle{}
	if err := parsed.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(parsed.Entries))
	for _, entry := range parsed.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

// counter counts what was fetched and says when the first file was.
type counter struct {
	log.Tiles
	started        chan struct{}
	once           sync.Once
	mu             sync.Mutex
	bundles, tiles int
}

func (c *counter) ReadTile(ctx context.Context, level, index uint64, partial uint8) ([]byte, error) {
	c.count(&c.tiles)
	return c.Tiles.ReadTile(ctx, level, index, partial)
}

func (c *counter) ReadEntryBundle(ctx context.Context, index uint64, partial uint8) ([]byte, error) {
	c.count(&c.bundles)
	return c.Tiles.ReadEntryBundle(ctx, index, partial)
}

func (c *counter) count(what *int) {
	c.once.Do(func() { close(c.started) })
	c.mu.Lock()
	defer c.mu.Unlock()
	*what++
}
