package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// Socket is the name of the agent's own socket in its folder. Every user of the
// machine may ask there.
const Socket = "agent.sock"

// Begun is the answer to a [Request].
type Begun struct {
	ID     string            `json:"id"`
	Socket string            `json:"socket"` // for the job's processes
	Parts  []parts.Part      `json:"parts"`
	Env    map[string]string `json:"env"` // what its processes must find in their environment
}

// Node is what the agent knows, for people.
type Node struct {
	Devices []Device `json:"devices"`
	Jobs    []Job    `json:"jobs"`
	Arena   Arena    `json:"arena"`
	Watch   Watch    `json:"watch"`
}

// Arena is the memory of the host into which jobs are swapped, in bytes, and how
// fast that was measured to be, in bytes a second; 0 as long as it was not.
type Arena struct {
	Memory uint64  `json:"memory"`
	Free   uint64  `json:"free"`
	Out    float64 `json:"out"`
	In     float64 `json:"in"`
}

// Device is one device and what is left of it.
type Device struct {
	parts.Device
	FreeMemory  uint64 `json:"freeMemory"`
	FreeCompute int64  `json:"freeCompute"`
	Lendable    uint64 `json:"lendable"`       // bytes that one who borrows could have now, with nobody at work going out
	Lost        bool   `json:"lost,omitempty"` // the driver does not know it any more

	Context   uint64     `json:"context,omitempty"`   // bytes that the driver takes for a context, as far as is known
	Strangers []Stranger `json:"strangers,omitempty"` // processes of no job that have memory of it
}

// Job is one job and what it uses.
type Job struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	UID       int       `json:"uid"`
	Leader    int       `json:"leader"`
	Mode      string    `json:"mode"`
	Priority  int       `json:"priority"`
	Began     time.Time `json:"began"`
	Processes []int     `json:"processes"`
	Parts     []Use     `json:"parts"`

	Policy  string `json:"policy"`
	State   string `json:"state"`           // of its memory: in, leaving, out or returning
	Held    bool   `json:"held,omitempty"`  // it stays out until somebody says otherwise
	Stuck   string `json:"stuck,omitempty"` // why it could not be swapped out when that was last asked
	Arena   uint64 `json:"arena"`           // bytes of the arena that are its own
	Swaps   int64  `json:"swaps"`           // times that it went out
	Took    int64  `json:"took"`            // nanoseconds of its last move
	CostOut int64  `json:"costOutMs"`       // milliseconds to move it out, by what was measured; 0 as long as nothing was
	CostIn  int64  `json:"costInMs"`
}

// Use is what a job has of one device and does with it. Times are nanoseconds.
type Use struct {
	parts.Part
	Limit     uint64 `json:"limit"`     // bytes that it may have without asking
	Used      uint64 `json:"used"`      // bytes, with what the driver takes beyond what was asked for
	Overhead  uint64 `json:"overhead"`  // that
	Measured  uint64 `json:"measured"`  // bytes, by the driver's word when it was last asked; 0 where it cannot say
	Swappable uint64 `json:"swappable"` // of those used: such as can be swapped
	Swapped   uint64 `json:"swapped"`   // of those: with the host
	Lent      uint64 `json:"lent"`      // of what was promised: what others have, or may have
	Lacks     uint64 `json:"lacks"`     // of what was promised: what its processes wait for
	Launches  uint64 `json:"launches"`
	Busy      uint64 `json:"busy"` // with work on the device, by its processes' own word
	Held      int64  `json:"held"` // by leases
	Leases    int64  `json:"leases"`
	Waiting   bool   `json:"waiting"`
	Holding   bool   `json:"holding"`
}

// listen opens the agent's socket. That of an agent that lives is not taken.
func (a *Agent) listen() (*net.UnixListener, error) {
	path := filepath.Join(a.opts.Dir, Socket)
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another agent answers at %s: stop it, or give this one another folder", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("making the agent's socket: %w", err)
	}
	return l, os.Chmod(path, 0o666)
}

type peerKey struct{}

// serve answers until the listener is closed; the channel is closed then.
func (a *Agent) serve(l *net.UnixListener) <-chan struct{} {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/jobs", a.postJob)
	mux.HandleFunc("POST /v1/jobs/{id}/swap", a.postSwap)
	mux.HandleFunc("GET /v1/node", a.getNode)
	mux.Handle("GET /metrics", a.Metrics())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, peerKey{}, c) }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
		_ = server.Close()
	}()
	return done
}

func (a *Agent) postJob(w http.ResponseWriter, req *http.Request) {
	var r Request
	in := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<16))
	in.DisallowUnknownFields()
	if err := in.Decode(&r); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("the request cannot be read: %w", err))
		return
	}
	var err error
	if r.Leader, r.UID, err = wire.Peer(req.Context().Value(peerKey{}).(*net.UnixConn)); err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	var begun Begun
	if !a.do(func() {
		var j *job
		if j, err = a.begin(r); err != nil {
			return
		}
		begun = a.begun(j)
	}) {
		err = errStopping
	}
	var little *parts.TooLittleError
	var arena *NoArenaError
	var context *parts.NoContextError
	switch {
	case errors.As(err, &little), errors.As(err, &context), errors.As(err, &arena) && arena.All >= arena.Need:
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
	default:
		answer(w, http.StatusCreated, begun)
	}
}

func (a *Agent) begun(j *job) Begun {
	b := Begun{ID: j.id, Socket: filepath.Join(a.door(j), "weir.sock"), Parts: j.parts, Env: maps.Clone(a.opts.Env)}
	if b.Env == nil {
		b.Env = map[string]string{}
	}
	var devices []string
	for _, p := range j.parts {
		devices = append(devices, a.opts.Devices[p.Device].UUID)
	}
	b.Env["CUDA_VISIBLE_DEVICES"] = strings.Join(devices, ",")
	b.Env["WEIR_SOCKET"] = b.Socket
	return b
}

func (a *Agent) postSwap(w http.ResponseWriter, req *http.Request) {
	var s Swap
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<16)).Decode(&s); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("the request cannot be read: %w", err))
		return
	}
	_, uid, err := wire.Peer(req.Context().Value(peerKey{}).(*net.UnixConn))
	if err == nil && !a.do(func() { err = a.swap(req.PathValue("id"), uid, s.To) }) {
		err = errors.New("the agent is stopping: try again")
	}
	switch {
	case errors.Is(err, errNotFound):
		refuse(w, http.StatusNotFound, err)
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
	default:
		answer(w, http.StatusAccepted, s)
	}
}

func (a *Agent) getNode(w http.ResponseWriter, _ *http.Request) {
	var n Node
	if !a.do(func() { n = a.node() }) {
		refuse(w, http.StatusServiceUnavailable, errStopping)
		return
	}
	answer(w, http.StatusOK, n)
}

func (a *Agent) node() Node {
	w := &a.watch
	n := Node{Jobs: []Job{}, Watch: w.Watch,
		Arena: Arena{Memory: a.opts.Arena, Free: a.arenaLeft(), In: a.speed[0], Out: a.speed[1]}}
	at := a.clock()
	for i, d := range a.opts.Devices {
		free := a.ledger.Free(i)
		n.Devices = append(n.Devices, Device{Device: d, FreeMemory: free.Memory, FreeCompute: free.Compute,
			Lendable: a.lendable(i, at), Lost: a.ledger.Lost(i), Context: w.contexts[i].bytes, Strangers: a.strangers(i)})
	}
	for _, id := range a.ids() {
		n.Jobs = append(n.Jobs, a.describe(a.jobs[id]))
	}
	return n
}

func (a *Agent) describe(j *job) Job {
	out := Job{ID: j.id, Name: j.request.Name, UID: j.request.UID, Leader: j.request.Leader, Mode: j.request.Mode,
		Priority: j.request.Priority, Began: j.began, Processes: []int{}, Policy: j.request.Policy, State: j.state(),
		Held: j.stay.held, Stuck: j.stay.stuck, Arena: j.stay.reserved, Swaps: j.stay.swaps, Took: j.stay.took,
		CostOut: milliseconds(a.cost(j, outward)), CostIn: milliseconds(a.cost(j, inward))}
	for i, p := range j.parts {
		u := Use{Part: p, Limit: j.limit(i), Lent: j.lent(i), Lacks: j.lacks(i), Launches: j.gone[i].launches,
			Busy: j.gone[i].busy}
		for c, process := range j.cells {
			if process != nil {
				cell := &j.pages.Cells.Cell[c].Device[i]
				u.Used += cell.Charged.Load()
				u.Swappable += cell.Swappable.Load()
				u.Swapped += cell.Swapped.Load()
				u.Launches += cell.Launches.Load()
				u.Busy += cell.Busy.Load()
			}
		}
		u.Overhead, u.Measured = j.beyond(i), j.measured(i, 0)
		u.Used = add(u.Used, u.Overhead)
		for _, t := range a.times[p.Device].Uses() {
			if t.ID == j.id {
				u.Held, u.Leases, u.Waiting, u.Holding = t.Held, t.Leases, t.Waiting, t.Holding
			}
		}
		out.Parts = append(out.Parts, u)
	}
	for _, process := range j.cells {
		if process != nil {
			out.Processes = append(out.Processes, process.pid)
		}
	}
	return out
}

// milliseconds rounds up: what takes any time takes one.
func milliseconds(ns int64) int64 { return (ns + 999_999) / 1_000_000 }

// Refusal is the answer to what cannot be done.
type Refusal struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, err error) { answer(w, status, Refusal{err.Error()}) }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked is gone, if it fails
}

// started is when a process began, in ticks since the machine did: with it a
// process's number is never another's.
func started(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			return "", os.ErrProcessDone
		}
		return "", err
	}
	return startTime(string(text))
}
