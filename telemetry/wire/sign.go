package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSignature is wrapped by every error of a verification.
var ErrSignature = errors.New("signature does not hold")

// KeyID names a public key: the first 8 bytes of its SHA-256, in hexadecimal.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:keyIDBytes])
}

const (
	keyIDBytes = 8
	keyPrefix  = "ed25519:"
)

// FormatKey writes a public key as people copy it into a configuration: ed25519: and 44
// characters of base64.
func FormatKey(key ed25519.PublicKey) string {
	return keyPrefix + base64.StdEncoding.EncodeToString(key)
}

// ParseKey reads what FormatKey writes.
func ParseKey(text string) (ed25519.PublicKey, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	b, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("read key: got %s, want %s and the base64 of %d bytes", clip(text), keyPrefix,
			ed25519.PublicKeySize)
	}
	return b, nil
}

// Signed is a message that carries a signature: *Command and *Receipt.
type Signed interface {
	Message
	// SigningBytes returns what the signature is over. SCHEMA.md gives its form.
	SigningBytes() ([]byte, error)
	sealed() (key *string, signature *[]byte)
}

// Sign fills in key id and signature. The message must be complete before.
func Sign(m Signed, key ed25519.PrivateKey) error {
	id, signature := m.sealed()
	*id = KeyID(key.Public().(ed25519.PublicKey))
	b, err := m.SigningBytes()
	if err != nil {
		return fmt.Errorf("sign %s: %w", m.kind(), err)
	}
	*signature = ed25519.Sign(key, b)
	return nil
}

// Verify checks the signature against the keys that are trusted. The error says whether
// it is missing, by an unknown key, or wrong.
func Verify(m Signed, trusted []ed25519.PublicKey) error {
	id, signature := m.sealed()
	if len(*signature) == 0 {
		return fmt.Errorf("%w: got none", ErrSignature)
	}
	i := slices.IndexFunc(trusted, func(k ed25519.PublicKey) bool { return KeyID(k) == *id })
	if i < 0 {
		return fmt.Errorf("%w: key %s is not trusted", ErrSignature, clip(*id))
	}
	b, err := m.SigningBytes()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !ed25519.Verify(trusted[i], b, *signature) {
		return fmt.Errorf("%w: it is not of key %s over this message", ErrSignature, *id)
	}
	return nil
}

func (m *Command) sealed() (*string, *[]byte) { return &m.Key, &m.Signature }

// SigningBytes implements Signed. Ids hold no line breaks, so the lines cannot be shifted.
func (m *Command) SigningBytes() ([]byte, error) {
	b := bytes.NewBufferString(fmt.Sprintf("ew/1 command\n%s\n%s\n%s\n%s\n%d\n%d\n%s\n",
		m.Fleet, m.Drone, m.Boot, m.Verb, m.Counter, m.ExpiresNS, m.Key))
	enc := json.NewEncoder(b) // writes the arguments as Append does
	enc.SetEscapeHTML(false)
	err := enc.Encode(m.arguments()[m.Verb])
	return b.Bytes(), err
}

func (r *Receipt) sealed() (*string, *[]byte) { return &r.Key, &r.Signature }

// SigningBytes implements Signed.
func (r *Receipt) SigningBytes() ([]byte, error) {
	b := fmt.Appendf(nil, "ew/1 receipt\n%s\n%s\n%s\n%s", r.Fleet, r.Drone, r.Station, r.Key)
	for _, s := range r.Stored {
		b = fmt.Appendf(b, "\n%s %d %d", s.Boot, s.From, s.To)
	}
	return b, nil
}

func (c *checker) keyID(field, s string) {
	if len(s) != 2*keyIDBytes || strings.Trim(s, "0123456789abcdef") != "" {
		c.fail(field, clip(s), fmt.Sprintf("%d lower-case hexadecimal digits", 2*keyIDBytes))
	}
}

// signature checks the form; a message without one has no key either.
func (c *checker) signature(key string, signature []byte) {
	if key == "" && len(signature) == 0 {
		return
	}
	c.keyID("key", key)
	if len(signature) != ed25519.SignatureSize {
		c.fail("signature", fmt.Sprintf("%d bytes", len(signature)), fmt.Sprint(ed25519.SignatureSize))
	}
}
