package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Pair is a certificate and the key that it certifies.
type Pair struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// Sign makes a key and a certificate for it from a template that says whose it
// is and until when. The signer is by, or the key itself where by is empty.
func Sign(template *x509.Certificate, by Pair, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, err
	}
	template.NotBefore = now.Add(-time.Hour) // clocks differ
	if by.Cert == nil {
		by = Pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Cert, key.Public(), by.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("signing the certificate of %s: %w", template.Subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	return Pair{cert, key}, err
}

// The blocks of PEM files.
const (
	blockCertificate = "CERTIFICATE"
	blockKey         = "EC PRIVATE KEY"
)

func encodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: c.Raw})...)
	}
	return out
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), nil
}

func decodeCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// decodePair reads the first certificate of a file and its key.
func decodePair(certificates, key []byte) (Pair, error) {
	certs, err := decodeCertificates(certificates)
	if err != nil || len(certs) == 0 {
		return Pair{}, errors.Join(errors.New("no certificate"), err)
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return Pair{}, errors.New("no key")
	}
	k, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return Pair{}, err
	}
	if !k.PublicKey.Equal(certs[0].PublicKey) {
		return Pair{}, errors.New("the key is another certificate's")
	}
	return Pair{certs[0], k}, nil
}
