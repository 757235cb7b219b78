package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func ensure(t *testing.T, dir string, at time.Time) Files {
	t.Helper()
	files, err := Ensure(dir, at)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// verify checks that the authority vouches for both certificates at a time.
func verify(t *testing.T, files Files, at time.Time) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(read(t, files.CACert)))
	for _, c := range []struct {
		cert, key, host string
		usage           x509.ExtKeyUsage
	}{
		{files.ServerCert, files.ServerKey, "127.0.0.1", x509.ExtKeyUsageServerAuth},
		{files.AdminCert, files.AdminKey, "", x509.ExtKeyUsageClientAuth},
	} {
		loaded, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = loaded.Leaf.Verify(x509.VerifyOptions{
			Roots: roots, CurrentTime: at, DNSName: c.host, KeyUsages: []x509.ExtKeyUsage{c.usage},
		})
		if err != nil {
			t.Errorf("%s: %v", c.cert, err)
		}
	}
}

func TestKeysStayTheSame(t *testing.T) {
	dir := t.TempDir()
	files := ensure(t, dir, now)
	verify(t, files, now)
	keys := func() string {
		return read(t, files.AdminCert) + read(t, files.AdminTokens) + read(t, files.ServiceAccountKey)
	}
	before := keys()
	ensure(t, dir, now.Add(24*time.Hour))
	if keys() != before {
		t.Error("keys changed though all were valid")
	}
}

func TestRenewalKeepsTheAuthority(t *testing.T) {
	dir := t.TempDir()
	files := ensure(t, dir, now)
	ca, server := read(t, files.CACert), read(t, files.ServerCert)
	later := now.Add(leafLife - renewAhead + time.Hour)
	verify(t, ensure(t, dir, later), later)
	if read(t, files.CACert) != ca {
		t.Error("the authority changed: every copied kubeconfig is void")
	}
	if read(t, files.ServerCert) == server {
		t.Error("the server's certificate was not renewed ahead of its end")
	}
}

// Whatever a crash or a hand leaves behind, the next start makes it whole.
func TestBrokenFilesAreReplaced(t *testing.T) {
	for _, name := range []string{
		"ca.crt", "ca.key", "server.crt", "server.key", "admin.crt", "admin.key",
		"service-account.key", "service-account.pub", "admin.token.csv",
	} {
		for how, breakIt := range map[string]func(string) error{
			"missing": os.Remove,
			"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				dir := t.TempDir()
				ensure(t, dir, now)
				if err := breakIt(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				files := ensure(t, dir, now)
				verify(t, files, now)
				if token, err := ReadToken(files.AdminTokens); err != nil || len(token) < 20 {
					t.Errorf("token is %q: %v", token, err)
				}
			})
		}
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	ensure(t, dir, now)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", e.Name(), info.Mode(), err)
		}
	}
}
