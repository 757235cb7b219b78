package trust

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"time"
)

// How long certificates last. An authority is replaced while it can still sign
// certificates that outlive their renewal; a serving certificate when two
// thirds of its life are over.
const (
	authorityLife  = 10 * 365 * 24 * time.Hour
	authorityAhead = 2 * servingLife
	servingLife    = 90 * 24 * time.Hour
	servingAhead   = 30 * 24 * time.Hour
)

// The fields of the Secret.
const (
	fieldAuthorities  = "ca.crt" // newest first
	fieldAuthorityKey = "ca.key" // of the newest
	fieldCertificate  = "tls.crt"
	fieldKey          = "tls.key"
)

// keys is what the Secret holds. What cannot be read of it is missing.
type keys struct {
	authority Pair                // the newest; the zero Pair where there is none
	trusted   []*x509.Certificate // all authorities that may have signed, the newest first
	serving   Pair
}

func readKeys(data map[string][]byte) keys {
	var k keys
	k.authority, _ = decodePair(data[fieldAuthorities], data[fieldAuthorityKey])
	k.trusted, _ = decodeCertificates(data[fieldAuthorities])
	k.serving, _ = decodePair(data[fieldCertificate], data[fieldKey])
	return k
}

func (k keys) write() (map[string][]byte, error) {
	authorityKey, err := encodeKey(k.authority.Key)
	if err != nil {
		return nil, err
	}
	key, err := encodeKey(k.serving.Key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		fieldAuthorities:  k.authorities(),
		fieldAuthorityKey: authorityKey,
		fieldCertificate:  encodeCertificates(k.serving.Cert),
		fieldKey:          key,
	}, nil
}

// authorities are what API servers have to trust.
func (k keys) authorities() []byte { return encodeCertificates(k.trusted...) }

// certificate is what the webhook serves with.
func (k keys) certificate() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{k.serving.Cert.Raw}, PrivateKey: k.serving.Key, Leaf: k.serving.Cert}
}

// next returns the keys to use from now on, and whether they are others.
//
// told says that API servers know all of k's authorities. A certificate of a
// new authority is only made then, unless the old certificate is of no use any
// more: an API server that does not know the authority would refuse it.
func (k keys) next(hosts []string, told bool, now time.Time) (next keys, changed bool, err error) {
	next = k
	if k.authority.Cert == nil || now.Add(authorityAhead).After(k.authority.Cert.NotAfter) {
		if next.authority, err = newAuthority(now); err != nil {
			return k, false, err
		}
		next.trusted = append([]*x509.Certificate{next.authority.Cert}, k.trusted...)
		next.trusted = slices.DeleteFunc(next.trusted, func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
		told, changed = false, true
	}
	usable := next.servingUsable(hosts, now)
	due := !usable || now.Add(servingAhead).After(next.serving.Cert.NotAfter) ||
		next.serving.Cert.CheckSignatureFrom(next.authority.Cert) != nil
	if usable && !(due && told) {
		return next, changed, nil
	}
	next.serving, err = Sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		DNSNames:    hosts,
		NotAfter:    now.Add(servingLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, next.authority, now)
	return next, true, err
}

// servingUsable reports whether API servers that know the authorities accept
// the serving certificate.
func (k keys) servingUsable(hosts []string, now time.Time) bool {
	c := k.serving.Cert
	if c == nil {
		return false
	}
	roots := x509.NewCertPool()
	for _, a := range k.trusted {
		roots.AddCert(a)
	}
	for _, host := range hosts {
		if _, err := c.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now}); err != nil {
			return false
		}
	}
	return true
}

func newAuthority(now time.Time) (Pair, error) {
	return Sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "weir-webhook-ca"},
		NotAfter:              now.Add(authorityLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, Pair{}, now)
}
