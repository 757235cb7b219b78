// Package client asks a node's agent, over the socket in its folder.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/wire"
)

// ErrNoAgent says that nobody answers.
var ErrNoAgent = errors.New("no agent answers: start one with weir agent")

// ErrTooLittle says that what is asked for cannot be had now.
var ErrTooLittle = errors.New("it cannot be had now")

// Client asks one agent. A job that it begins is that of its own process.
type Client struct {
	dir  string
	http *http.Client
}

// New returns a client of the agent of a folder.
func New(dir string) *Client {
	path := filepath.Join(dir, agent.Socket)
	return &Client{dir, &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
			if err == nil {
				err = trust(conn.(*net.UnixConn))
			}
			return conn, err
		}}}}
}

// trust refuses an agent of somebody else: what it answers is put into a
// program's environment, and says which library the program loads.
func trust(conn *net.UnixConn) error {
	_, uid, err := wire.Peer(conn)
	if err == nil && uid != 0 && uid != os.Getuid() {
		err = fmt.Errorf("the agent there belongs to user %d: only one of root or your own is trusted", uid)
	}
	if err != nil {
		conn.Close()
	}
	return err
}

// Node returns what the agent knows.
func (c *Client) Node(ctx context.Context) (n agent.Node, err error) {
	return n, c.ask(ctx, http.MethodGet, "/v1/node", nil, &n)
}

// Begin asks for parts of devices for this process and those that it starts.
func (c *Client) Begin(ctx context.Context, r agent.Request) (b agent.Begun, err error) {
	return b, c.ask(ctx, http.MethodPost, "/v1/jobs", r, &b)
}

// Swap lets a job's memory go out, or come in. It does not wait until it has.
func (c *Client) Swap(ctx context.Context, job, to string) error {
	var done agent.Swap
	return c.ask(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(job)+"/swap", agent.Swap{To: to}, &done)
}

func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		var unreachable *net.OpError
		if errors.As(err, &unreachable) && unreachable.Op == "dial" {
			return fmt.Errorf("%w (%s: %w)", ErrNoAgent, filepath.Join(c.dir, agent.Socket), unreachable.Err)
		}
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusBadRequest {
		var no agent.Refusal
		if json.Unmarshal(body, &no) != nil || no.Error == "" {
			return fmt.Errorf("the agent answers %s", res.Status)
		}
		if res.StatusCode == http.StatusConflict {
			return fmt.Errorf("%w: %s", ErrTooLittle, no.Error)
		}
		return errors.New(no.Error)
	}
	return json.Unmarshal(body, out)
}
