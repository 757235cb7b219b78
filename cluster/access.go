package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/weir-gpu/weir/cluster/pki"
)

// listen opens the API server's port on the loopback interface and remembers
// it, so that a kubeconfig that somebody copied stays valid after a restart.
func listen(dir string, port int) (net.Listener, error) {
	memory := filepath.Join(dir, "port")
	var l net.Listener
	var err error
	if port != 0 {
		if l, err = listenOn(port); err != nil {
			return nil, fmt.Errorf("port %d is not free: choose another, or 0 for any free one: %w", port, err)
		}
	} else if l, err = listenOn(lastPort(memory)); err != nil {
		if l, err = listenOn(0); err != nil {
			return nil, err
		}
	}
	got := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := replaceFile(memory, []byte(got+"\n")); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func listenOn(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// lastPort returns the port of the last run, or 0.
func lastPort(path string) int {
	data, _ := os.ReadFile(path)
	port, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 16)
	if err != nil {
		return 0
	}
	return int(port)
}

// writeKubeconfig writes a kubeconfig that needs no other file.
func writeKubeconfig(dir, address string, files pki.Files) (path string, err error) {
	var pems [3][]byte
	for i, path := range []string{files.CACert, files.AdminCert, files.AdminKey} {
		if pems[i], err = os.ReadFile(path); err != nil {
			return "", err
		}
	}
	const name = "weir"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: address, CertificateAuthorityData: pems[0]}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: pems[1], ClientKeyData: pems[2]}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	data, err := clientcmd.Write(*file)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "kubeconfig")
	return path, replaceFile(path, data)
}

// inProcess returns the configuration for clients in this process. They use a
// token: the API server verifies a certificate anew with every request.
func inProcess(address string, files pki.Files) (*rest.Config, error) {
	token, err := pki.ReadToken(files.AdminTokens)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(files.CACert)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:               address,
		BearerToken:        token,
		QPS:                -1, // no limit
		DisableCompression: true,
		TLSClientConfig:    rest.TLSClientConfig{CAData: authority},
	}, nil
}

// protobuf returns cfg for clients of Kubernetes' own types, which the API
// server reads and writes faster in this form.
func protobuf(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return cfg
}

// replaceFile replaces a file whole or not at all; only its owner reads it.
func replaceFile(path string, data []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
