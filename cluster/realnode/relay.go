package realnode

import (
	"context"
	"io"
	"net"
	"sync"
)

// relay passes connections on to another address, until ctx ends.
func relay(ctx context.Context, from net.Listener, network, address string) {
	context.AfterFunc(ctx, func() { from.Close() })
	for {
		in, err := from.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			out, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return // whoever asks sees the end of the connection
			}
			defer out.Close()
			defer context.AfterFunc(ctx, func() { in.Close(); out.Close() })()
			var both sync.WaitGroup
			both.Go(func() { pass(out, in) })
			both.Go(func() { pass(in, out) })
			both.Wait()
		}()
	}
}

// pass copies one direction of a connection, and its end.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
