package log

import (
	"fmt"

	f_log "github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
)

// OpenCheckpoint verifies a signed checkpoint with the formats module: the log's signature, every cosignature of a
// witness in the policy (one that is wrong refuses the whole note), and the policy's quorum. It also answers how many
// cosignatures it verified.
func (l *Log) OpenCheckpoint(signed []byte) (*f_log.Checkpoint, int, error) {
	verifier, err := f_note.NewVerifier(l.Key)
	if err != nil {
		return nil, 0, Usage(err)
	}
	if l.Policy == "" {
		checkpoint, _, _, err := f_log.ParseCheckpoint(signed, l.Origin, verifier)
		return checkpoint, 0, err
	}
	quorum, witnesses, err := ParsePolicy(l.Policy)
	if err != nil {
		return nil, 0, Usage(err)
	}
	checkpoint, _, note, err := f_log.ParseCheckpoint(signed, l.Origin, verifier, witnesses...)
	if err != nil {
		return nil, 0, err
	}
	if !quorum.Satisfied(signed) {
		return nil, 0, fmt.Errorf("the cosignatures do not reach the policy's quorum")
	}
	return checkpoint, len(note.Sigs) - 1, nil
}
