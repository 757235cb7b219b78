// Package pki makes the keys and certificates of an embedded cluster and
// keeps them in a directory: one authority, the API server's certificate, an
// administrator's certificate and token, and the key that signs service
// account tokens.
//
// It does not rotate the authority, revoke anything, or serve clusters of more
// than one machine.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-gpu/weir/kube/trust"
)

const (
	caLife   = 20 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	// renewAhead is how long before its end a leaf certificate is replaced.
	renewAhead = 90 * 24 * time.Hour
)

// The administrator. The API server lets this group do everything.
const (
	adminName  = "weir-admin"
	adminGroup = "system:masters"
)

// Files are the paths of everything that [Ensure] keeps.
type Files struct {
	CACert             string
	ServerCert         string
	ServerKey          string
	AdminCert          string
	AdminKey           string
	AdminTokens        string // as kube-apiserver's --token-auth-file reads them
	ServiceAccountKey  string // private, PEM
	ServiceAccountCert string // its public key, PEM
}

// Ensure makes what is missing in dir, replaces what is about to expire or
// cannot be read, and returns where everything is. The authority stays the
// same for the life of the directory.
func Ensure(dir string, now time.Time) (Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Files{}, err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	files := Files{
		CACert:             at("ca.crt"),
		ServerCert:         at("server.crt"),
		ServerKey:          at("server.key"),
		AdminCert:          at("admin.crt"),
		AdminKey:           at("admin.key"),
		AdminTokens:        at("admin.token.csv"),
		ServiceAccountKey:  at("service-account.key"),
		ServiceAccountCert: at("service-account.pub"),
	}
	ca, err := ensureCA(files.CACert, at("ca.key"), now)
	if err != nil {
		return Files{}, err
	}
	if err := ensureLeaf(files.ServerCert, files.ServerKey, ca, serverTemplate(), now); err != nil {
		return Files{}, err
	}
	if err := ensureLeaf(files.AdminCert, files.AdminKey, ca, adminTemplate(), now); err != nil {
		return Files{}, err
	}
	if err := ensureKey(files.ServiceAccountKey, files.ServiceAccountCert); err != nil {
		return Files{}, err
	}
	if _, err := ReadToken(files.AdminTokens); err != nil {
		line := fmt.Sprintf("%s,%s,%s,%s\n", rand.Text(), adminName, adminName, adminGroup)
		if err := replaceFile(files.AdminTokens, []byte(line)); err != nil {
			return Files{}, err
		}
	}
	return files, nil
}

// ReadToken returns the token of a file of [Files].AdminTokens.
func ReadToken(path string) (string, error) {
	line, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token, rest, _ := strings.Cut(string(line), ",")
	if len(token) < 20 || rest == "" {
		return "", fmt.Errorf("%s holds no token", path)
	}
	return token, nil
}

func serverTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: "weir-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(10, 0, 0, 1)},
		DNSNames: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local",
		},
	}
}

func adminTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: adminName, Organization: []string{adminGroup}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func ensureCA(certPath, keyPath string, now time.Time) (trust.Pair, error) {
	if ca, err := load(certPath, keyPath); err == nil && now.Before(ca.Cert.NotAfter) {
		return ca, nil
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "weir-ca"},
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	return create(certPath, keyPath, template, trust.Pair{}, now)
}

func ensureLeaf(certPath, keyPath string, ca trust.Pair, template *x509.Certificate, now time.Time) error {
	if leaf, err := load(certPath, keyPath); err == nil &&
		now.Add(renewAhead).Before(leaf.Cert.NotAfter) && leaf.Cert.CheckSignatureFrom(ca.Cert) == nil {
		return nil
	}
	template.NotAfter = now.Add(leafLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	_, err := create(certPath, keyPath, template, ca, now)
	return err
}

// create signs template with ca, or with itself when ca is empty, and writes
// both files. The certificate is written last: a pair is complete when it is
// there, so a crash in between makes a new one.
func create(certPath, keyPath string, template *x509.Certificate, ca trust.Pair, now time.Time) (trust.Pair, error) {
	made, err := trust.Sign(template, ca, now)
	if err != nil {
		return trust.Pair{}, fmt.Errorf("%s: %w", certPath, err)
	}
	if err := writeKey(keyPath, made.Key); err != nil {
		return trust.Pair{}, err
	}
	return made, writePEM(certPath, "CERTIFICATE", made.Cert.Raw)
}

func ensureKey(keyPath, publicPath string) error {
	key, err := loadKey(keyPath)
	if err != nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return err
		}
		if err := writeKey(keyPath, key); err != nil {
			return err
		}
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(publicPath, "PUBLIC KEY", der)
}

func load(certPath, keyPath string) (trust.Pair, error) {
	der, err := readPEM(certPath)
	if err != nil {
		return trust.Pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return trust.Pair{}, err
	}
	key, err := loadKey(keyPath)
	if err != nil {
		return trust.Pair{}, err
	}
	if !key.PublicKey.Equal(cert.PublicKey.(crypto.PublicKey)) {
		return trust.Pair{}, fmt.Errorf("%s does not belong to %s", keyPath, certPath)
	}
	return trust.Pair{Cert: cert, Key: key}, nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	return x509.ParseECPrivateKey(der)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}

func writePEM(path, kind string, der []byte) error {
	return replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// replaceFile replaces a file whole or not at all.
func replaceFile(path string, data []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
