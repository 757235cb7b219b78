package agent_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/node/wire"
)

// TestPlayedProcess is no test: it is the processes of those below. The first
// connects, gives its connection to a second one, and ends; the second waits until
// it is told to say hello, and says what it is answered.
func TestPlayedProcess(t *testing.T) {
	greeting := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version}
	switch socket := os.Getenv("PLAYED_SOCKET"); {
	case socket == "":
		t.Skip("it is for the others")
	case socket == "inherited":
		_, _ = os.Stdin.Read(make([]byte, 1))
		file := os.NewFile(3, "connection")
		b := make([]byte, wire.MessageSize)
		_, _ = file.Write(greeting.Append(nil))
		_, _ = file.Read(b)
		answer, err := wire.Parse(b)
		fmt.Println("answer:", answer.Kind, answer.Text, err)
	default:
		c := must(net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"}))
		if os.Getenv("PLAYED_HELLO") != "" {
			_ = must(c.Write(greeting.Append(nil)))
			_ = must(c.Read(make([]byte, wire.MessageSize)))
		}
		second := exec.Command(os.Args[0], "-test.run=^TestPlayedProcess$")
		second.Env = append(os.Environ(), "PLAYED_SOCKET=inherited")
		second.ExtraFiles = []*os.File{must(c.File())}
		second.Stdin, second.Stdout = os.Stdin, os.Stdout
		if err := second.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// outlived has a process connect to a job and end, while another one has its
// connection. What is returned lets that one say hello and returns its answer.
func outlived(t *testing.T, socket string, env ...string) (hello func() string) {
	in, say := must2(os.Pipe())
	hear, out := must2(os.Pipe())
	t.Cleanup(func() { say.Close(); hear.Close() })
	first := exec.Command(os.Args[0], "-test.run=^TestPlayedProcess$")
	first.Env, first.Stdin, first.Stdout = append(append(os.Environ(), "PLAYED_SOCKET="+socket), env...), in, out
	if err := first.Run(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	return func() string {
		say.Close()
		for lines := bufio.NewScanner(hear); lines.Scan(); {
			if answer, ok := strings.CutPrefix(lines.Text(), "answer: "); ok {
				return answer
			}
		}
		return ""
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// A process is one of a job's for as long as it lives, whoever has its connection
// after it: its number may be another's then, who would be taken for it.
func TestAConnectionEndsWithItsProcess(t *testing.T) {
	n := newNode(t)
	job := n.job("a", 300, "fair")
	outlived(t, job.Socket, "PLAYED_HELLO=yes")
	n.eventually("nobody is connected", func() error {
		if p := n.node().Jobs[0].Processes; len(p) != 0 {
			return fmt.Errorf("%v", p)
		}
		return nil
	})
}

// Who has connected and ended cannot be said hello for, by whoever has its number
// meanwhile or for nobody.
func TestNobodySaysHelloForWhoHasEnded(t *testing.T) {
	n := newNode(t)
	hello := outlived(t, n.job("a", 300, "fair").Socket)
	if got := hello(); !strings.HasPrefix(got, fmt.Sprint(wire.Refused)) || !strings.Contains(got, "has ended") {
		t.Errorf("it was answered %q", got)
	}
}
