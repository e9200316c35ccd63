// Checks proofs of the audit trail with the tools that Go checks its checksum database with: golang.org/x/mod/sumdb.
//
//	certfleet-test-tlog entry KEY ENTRY <PROOF     the entry, as `audit export` prints it, is in the log
//	certfleet-test-tlog extends KEY OLD <PROOF     the log begins as the file OLD, a checkpoint, says
//
// KEY is the log's key as `audit key` prints it, PROOF what `audit prove` prints.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "certfleet-test-tlog:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("entry KEY ENTRY, or extends KEY OLD, is due")
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	proof, signed, found := strings.Cut(string(input), "\n\n")
	if !found {
		return errors.New("no empty line between the proof and the checkpoint")
	}
	tree, err := open(signed, args[1])
	if err != nil {
		return err
	}
	lines := strings.Split(proof, "\n")
	switch args[0] {
	case "entry":
		return entry(lines, tree, args[2])
	case "extends":
		return extends(lines, tree, args[1], args[2])
	}
	return fmt.Errorf("%s: neither entry nor extends", args[0])
}

func entry(lines []string, tree tlog.Tree, exported string) error {
	var line struct {
		Number int64           `json:"number"`
		Event  json.RawMessage `json:"event"`
	}
	if err := json.Unmarshal([]byte(exported), &line); err != nil {
		return err
	}
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a C2SP tlog-proof")
	}
	index, err := number(lines[1], "index ")
	if err != nil {
		return err
	}
	if index != line.Number {
		return fmt.Errorf("the proof is of entry %d, not %d", index, line.Number)
	}
	hashes, err := all(lines[2:])
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(line.Event))
}

func extends(lines []string, tree tlog.Tree, key, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, err := open(string(text), key)
	if err != nil {
		return err
	}
	size, err := number(lines[0], "old ")
	if err != nil {
		return err
	}
	if size != old.N {
		return fmt.Errorf("the proof is of %d entries, the checkpoint of %d", size, old.N)
	}
	hashes, err := all(lines[1:])
	if err != nil {
		return err
	}
	return tlog.CheckTree(hashes, tree.N, tree.Hash, old.N, old.Hash)
}

// A checkpoint with a good signature.
func open(text, key string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 3 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func number(line, name string) (int64, error) {
	rest, found := strings.CutPrefix(line, name)
	if !found {
		return 0, fmt.Errorf("%q where %q is due", line, name)
	}
	return strconv.ParseInt(rest, 10, 64)
}

func all(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		if line == "" {
			continue
		}
		octets, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(octets) != tlog.HashSize {
			return nil, fmt.Errorf("%q is not a hash", line)
		}
		hashes = append(hashes, tlog.Hash(octets))
	}
	return hashes, nil
}
