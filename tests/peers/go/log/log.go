// Package log says where a log under test lies - an exported folder or a server - and with which keys it is checked.
// It only fetches and reads flags: every judgement is made by the peer's own code, never here.
package log

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/transparency-dev/tessera/client"
)

const (
	// Longest wait for one answer of a server.
	answerWaitMax = 30 * time.Second
	// Most bytes of one file: 256 entries of 65,535 bytes, each with its length.
	fileLenMax = 256 * (2 + 65_535)

	// Most bytes of a reason that are printed.
	reasonLenMax = 400

	exitRefused = 1
	exitUsage   = 2
)

// Log is a log to check, as the flags name it.
type Log struct {
	// Folder of an exported log, empty when URL is set.
	Folder string
	// URL prefix of a served log, ending in a slash.
	URL *url.URL
	// Key is the log's verifier key, one line.
	Key string
	// Origin is the first line that its checkpoints must have.
	Origin string
	// Policy is the text of the tlog-policy, empty if there is none.
	Policy string

	bearer string
}

// Tiles reads the files of a tlog-tiles log; both fetchers of Tessera's client are one.
type Tiles interface {
	ReadCheckpoint(ctx context.Context) ([]byte, error)
	ReadTile(ctx context.Context, level, index uint64, partial uint8) ([]byte, error)
	ReadEntryBundle(ctx context.Context, index uint64, partial uint8) ([]byte, error)
}

type usageError struct{ error }

// Run parses the flags, runs one check and ends the process: 0 accepted, 1 refused, 2 called wrongly.
func Run(name string, check func(context.Context, *Log) (string, error)) {
	bundle := flag.String("bundle", "", "folder of an exported log; its key.vkey and policy.txt are the defaults below")
	storage := flag.String("storage_url", "", "the log instead of --bundle: file:// or http(s):// prefix")
	key := flag.String("public_key", "", "the log's verifier key, or a file that holds it")
	policy := flag.String("policy", "", "file with a tlog-policy whose quorum must have cosigned")
	origin := flag.String("origin", "", "origin of the log; the key's name if left out")
	bearer := flag.String("bearer_token", "", "sent as Authorization: Bearer to an http(s) log")
	flag.Parse()

	l, err := open(*bundle, *storage, *key, *policy)
	if err == nil {
		l.bearer = *bearer
		if l.Origin = *origin; l.Origin == "" {
			l.Origin, _, _ = strings.Cut(l.Key, "+")
		}
		var said string
		if said, err = guarded(l, check); err == nil {
			fmt.Printf("%s: accepted: %s\n", name, said)
			return
		}
	}
	// Some peers answer with whole tiles in hex, over many lines.
	reason := strings.Join(strings.Fields(err.Error()), " ")
	if len(reason) > reasonLenMax {
		reason = reason[:reasonLenMax] + "..."
	}
	if errors.As(err, &usageError{}) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, reason)
		os.Exit(exitUsage)
	}
	fmt.Fprintf(os.Stderr, "%s: refused: %s\n", name, reason)
	os.Exit(exitRefused)
}

// A peer that panics on hostile bytes has refused them; the default exit status of a panic would read as wrong usage.
func guarded(l *Log, check func(context.Context, *Log) (string, error)) (said string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the peer panicked: %v", p)
		}
	}()
	return check(context.Background(), l)
}

func open(bundle, storage, key, policy string) (*Log, error) {
	l := &Log{Folder: bundle}
	if (bundle == "") == (storage == "") {
		return nil, usageError{errors.New("name the log by --bundle or by --storage_url")}
	}
	if storage != "" {
		u, err := url.Parse(storage)
		if err != nil {
			return nil, usageError{err}
		}
		switch u.Scheme {
		case "file":
			l.Folder = u.Path
		case "http", "https":
			if !strings.HasSuffix(u.Path, "/") {
				u.Path += "/"
			}
			l.URL = u
		default:
			return nil, usageError{fmt.Errorf("--storage_url has scheme %q", u.Scheme)}
		}
	}
	if key == "" && bundle != "" {
		key = filepath.Join(bundle, "key.vkey")
	}
	if policy == "" && bundle != "" {
		if _, err := os.Stat(filepath.Join(bundle, "policy.txt")); err == nil {
			policy = filepath.Join(bundle, "policy.txt")
		}
	}
	return l, l.readKeys(key, policy)
}

func (l *Log) readKeys(key, policy string) error {
	if key == "" {
		return usageError{errors.New("--public_key is missing")}
	}
	if text, err := os.ReadFile(key); err == nil {
		key = string(text)
	}
	l.Key = strings.TrimSpace(key)
	if policy == "" {
		return nil
	}
	text, err := os.ReadFile(policy)
	if err != nil {
		return usageError{err}
	}
	l.Policy = string(text)
	return nil
}

// Usage marks an error as the caller's: exit status 2.
func Usage(err error) error { return usageError{err} }

// Tiles reads through Tessera's own client, partial files falling back to full ones.
func (l *Log) Tiles() (Tiles, error) {
	if l.URL == nil {
		return client.FileFetcher{Root: l.Folder}, nil
	}
	f, err := client.NewHTTPFetcher(l.URL, &http.Client{Timeout: answerWaitMax})
	if err != nil {
		return nil, usageError{err}
	}
	if l.bearer != "" {
		f.SetAuthorizationHeader("Bearer " + l.bearer)
	}
	return f, nil
}

// Read fetches one file by its tlog-tiles path, without Tessera. A missing one is fs.ErrNotExist.
func (l *Log) Read(path string) ([]byte, error) {
	if l.URL == nil {
		return os.ReadFile(filepath.Join(l.Folder, filepath.FromSlash(path)))
	}
	request, err := http.NewRequest(http.MethodGet, l.URL.JoinPath(path).String(), nil)
	if err != nil {
		return nil, err
	}
	if l.bearer != "" {
		request.Header.Set("Authorization", "Bearer "+l.bearer)
	}
	answer, err := (&http.Client{Timeout: answerWaitMax}).Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK:
		return io.ReadAll(io.LimitReader(answer.Body, fileLenMax))
	case http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	default:
		return nil, fmt.Errorf("%s: status %d", path, answer.StatusCode)
	}
}

// OlderSizes are sizes from which a consistency proof to size is asked: the ends, and both sides of what a tile's edge
// or a power of two changes.
func OlderSizes(size uint64) []uint64 {
	wanted := []uint64{0, 1, 2, 3, size / 3, size / 2}
	for bit := uint64(4); bit > 0 && bit <= size; bit <<= 1 {
		wanted = append(wanted, bit-1, bit, bit+1)
	}
	if size > 0 {
		wanted = append(wanted, size-1)
	}
	seen := map[uint64]bool{}
	var sizes []uint64
	for _, s := range append(wanted, size) {
		if s <= size && !seen[s] {
			seen[s] = true
			sizes = append(sizes, s)
		}
	}
	return sizes
}

// Stride is the distance between the records whose proofs are checked: every record of a small log, and in a large
// one at least one under each full tile, at changing places in the tile.
func Stride(size uint64) uint64 {
	const recordsMin, strideMax = 4096, 255
	return min(max(size/recordsMin, 1), strideMax)
}
