package webhook

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// File is a certificate with its key in files. It is read anew when the files
// change, as they do when a certificate is renewed.
type File struct {
	Certificate, Key string

	mu     sync.Mutex
	at     time.Time
	loaded *tls.Certificate
}

// Load returns the certificate.
func (f *File) Load() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.Certificate)
	if err != nil {
		return f.orLast(err)
	}
	if f.loaded != nil && info.ModTime().Equal(f.at) {
		return f.loaded, nil
	}
	c, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return f.orLast(err)
	}
	f.loaded, f.at = &c, info.ModTime()
	return f.loaded, nil
}

// orLast goes on with the last certificate while its files are being replaced.
func (f *File) orLast(err error) (*tls.Certificate, error) {
	if f.loaded != nil {
		return f.loaded, nil
	}
	return nil, fmt.Errorf("the webhook's certificate cannot be read from --tls-cert-file and --tls-key-file: %w", err)
}
