// Package quiet keeps the etcd client inside kube-apiserver from writing to
// the terminal of whoever embeds it: a request that its user cancelled is no
// news. Importing the package is all there is to do.
//
// It does not touch etcd's server, which has a log file of its own.
package quiet

import "go.etcd.io/etcd/client/pkg/v3/logutil"

// kube-apiserver makes its logger while its packages are initialised, by this
// variable, and offers no other way to it. Packages are initialised in order
// of their paths once all that they import is: this one, which imports next
// to nothing, comes before k8s.io/apiserver.
func init() {
	logutil.DefaultZapLoggerConfig.OutputPaths = nil
	logutil.DefaultZapLoggerConfig.ErrorOutputPaths = nil
}
