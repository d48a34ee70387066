package log

import (
	"fmt"
	"strings"

	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
)

// ParsePolicy reads a policy with the formats module: the quorum, and a verifier for every witness it names.
//
// That parser is written for logs and wants a submission URL on each witness line. A verifier's policy may leave it
// out, so such a line is given one that leads nowhere.
func ParsePolicy(text string) (witness.Group, []note.Verifier, error) {
	var verifiers []note.Verifier
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "witness" {
			continue
		}
		verifier, err := f_note.NewVerifierForCosignatureV1(fields[2])
		if err != nil {
			return witness.Group{}, nil, fmt.Errorf("policy line %d: %w", i+1, err)
		}
		verifiers = append(verifiers, verifier)
		if len(fields) == 3 {
			lines[i] = strings.Join(append(fields, "https://witness.invalid"), " ")
		}
	}
	group, err := witness.ParsePolicy([]byte(strings.Join(lines, "\n")))
	if err != nil {
		return group, nil, fmt.Errorf("policy: %w", err)
	}
	return group, verifiers, nil
}
