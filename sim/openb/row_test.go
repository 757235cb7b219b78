package openb

import (
	"errors"
	"io"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/sim/badrow"
)

const (
	nodeHeader = "sn,cpu_milli,memory_mib,gpu,model\n"
	podHeader  = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase," +
		"creation_time,deletion_time,scheduled_time\n"
)

func TestReadNodes(t *testing.T) {
	got, err := Collect(ReadNodes("nodes.csv", strings.NewReader(nodeHeader+
		"a,64000,262144,2,P100\nb,8000,1024,0,\n")))
	want := []Node{{"a", 64000, 262144, 2, "P100"}, {"b", 8000, 1024, 0, ""}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Columns may stand in any order.
func TestReadPods(t *testing.T) {
	got, err := Collect(ReadPods("pods.csv", strings.NewReader(
		"qos,name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,pod_phase,creation_time,deletion_time,scheduled_time\n"+
			"BE,a,1,2,1,470,V100M16|V100M32,Running,5,7,6\nLS,b,1,2,0,0,,Pending,5,5,\n")))
	want := []Pod{
		{"a", 1, 2, 1, 470, []string{"V100M16", "V100M32"}, BestEffort, "Running", 5, 7, 6},
		{"b", 1, 2, 0, 0, nil, LatencySensitive, "Pending", 5, 5, -1},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBrokenRows(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing": {"",
			`x.csv line 1 is missing: write the names of the columns`},
		"a column too few": {"sn,cpu_milli,memory_mib,gpu\n",
			`x.csv line 1: the header is "sn,cpu_milli,memory_mib,gpu": write the columns ` +
				`sn,cpu_milli,memory_mib,gpu,model, each once`},
		"a strange column": {"sn,cpu_milli,memory_mib,gpus,model\n",
			`x.csv line 1: the header is "gpus": write the columns sn,cpu_milli,memory_mib,gpu,model, each once`},
		"a column twice": {"sn,sn,memory_mib,gpu,model\n",
			`x.csv line 1: the header is "sn": write the columns sn,cpu_milli,memory_mib,gpu,model, each once`},
		"a field too few": {nodeHeader + "a,1,2,3\n",
			`x.csv line 2 is a row of 4 fields: write 5, one for each column of the first line`},
		"a stray quote": {nodeHeader + "a,1,2,3,P100\nb,\"1,2,3,P100\n",
			`x.csv line 3 is not CSV (extraneous or missing " in quoted-field): write fields separated by ` +
				`commas, without quotes inside them`},
		"no name": {nodeHeader + ",1,2,3,P100\n",
			`x.csv line 2: sn is "": write a name of lower-case letters, digits and dashes`},
		"negative CPUs": {nodeHeader + "a,-1,2,3,P100\n",
			`x.csv line 2: cpu_milli is "-1": write a whole number from 0 to 100000000`},
		"CPUs with decimals": {nodeHeader + "a,1.5,2,3,P100\n",
			`x.csv line 2: cpu_milli is "1.5": write a whole number from 0 to 100000000`},
		"memory that overflows": {nodeHeader + "a,1,99999999999999999999,3,P100\n",
			`x.csv line 2: memory_mib is "99999999999999999999": write a whole number from 0 to 1000000000`},
		"too many GPUs": {nodeHeader + "a,1,2,129,P100\n",
			`x.csv line 2: gpu is "129": write a whole number from 0 to 128`},
		"GPUs of no model": {nodeHeader + "a,1,2,3,\n",
			`x.csv line 2: model is "": write the model of the node's 3 GPUs`},
		"a model without GPUs": {nodeHeader + "a,1,2,0,P100\n",
			`x.csv line 2: model is "P100": leave it empty, the node has no GPUs`},
		"a name twice": {nodeHeader + "a,1,2,0,\nb,1,2,0,\na,1,2,0,\n",
			`x.csv line 4: sn is "a": write a name of its own, line 2 has this one`},
		"two broken rows": {nodeHeader + "a,x,2,0,\nb,1,2,0,\nc,1,y,0,\n",
			`x.csv line 2: cpu_milli is "x": write a whole number from 0 to 100000000` + "\n" +
				`x.csv line 4: memory_mib is "y": write a whole number from 0 to 1000000000`},

		"more than a GPU": {podHeader + "a,1,2,1,1001,,LS,Running,0,1,0\n",
			`x.csv line 2: gpu_milli is "1001": write a whole number from 0 to 1000`},
		"a part of no GPU": {podHeader + "a,1,2,0,500,,LS,Running,0,1,0\n",
			`x.csv line 2: gpu_milli is "500": write 0, the pod has no GPUs`},
		"no part of a GPU": {podHeader + "a,1,2,1,0,,LS,Running,0,1,0\n",
			`x.csv line 2: gpu_milli is "0": write a whole number from 1 to 1000, the part of each GPU`},
		"an empty model": {podHeader + "a,1,2,1,500,T4||P100,LS,Running,0,1,0\n",
			`x.csv line 2: gpu_spec is "T4||P100": write GPU models separated by |, or nothing for all`},
		"an unknown quality": {podHeader + "a,1,2,1,500,,BestEffort,Running,0,1,0\n",
			`x.csv line 2: qos is "BestEffort": write LS, BE, Burstable or Guaranteed`},
		"an unknown phase": {podHeader + "a,1,2,1,500,,BE,Lost,0,1,0\n",
			`x.csv line 2: pod_phase is "Lost": write Pending, Running, Succeeded, Failed, Unknown`},
		"gone before it came": {podHeader + "a,1,2,1,500,,BE,Failed,7,6,\n",
			`x.csv line 2: deletion_time is "6": write a time from creation_time on, 7`},
		"placed before it came": {podHeader + "a,1,2,1,500,,BE,Failed,7,9,6\n",
			`x.csv line 2: scheduled_time is "6": write a time from creation_time on, 7, or nothing`},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			if strings.HasPrefix(c.text, podHeader) {
				_, err = Collect(ReadPods("x.csv", strings.NewReader(c.text)))
			} else {
				_, err = Collect(ReadNodes("x.csv", strings.NewReader(c.text)))
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("got\n  %v\nwant\n  %s", err, c.want)
			}
		})
	}
}

// A reader that fails is told of with its own error.
func TestReaderFails(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(nodeHeader), failing{})
	if _, err := Collect(ReadNodes("x.csv", broken)); !errors.Is(err, errFailing) {
		t.Errorf("got %v", err)
	}
}

var errFailing = errors.New("the disk is on fire")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

// Reading stops when nobody listens any more, after good rows and bad ones.
func TestReadingStops(t *testing.T) {
	for _, text := range []string{"a,1,2,0,\nb,1,2,0,\n", "a,x,2,0,\nb,x,2,0,\n"} {
		rows := 0
		for range ReadNodes("x.csv", strings.NewReader(nodeHeader+text)) {
			rows++
			break
		}
		if rows != 1 {
			t.Errorf("%d rows of %q", rows, text)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		nodeHeader + "a,64000,262144,2,P100\n",
		nodeHeader + "a,-1,262144,2,P100\nb,1",
		podHeader + "a,1,2,1,470,V100M16|V100M32,BE,Running,5,7,6\n",
		podHeader + "b,1,2,0,0,,LS,Pending,5,5,\n\n\"",
		"\ufeffsn,cpu_milli\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read(t, ReadNodes("x.csv", strings.NewReader(text)), func(n Node) { n.Object() })
		read(t, ReadPods("x.csv", strings.NewReader(text)), func(p Pod) { p.Object(Assign(p)) })
	})
}

// read checks that every row is good enough for use or told of in full.
func read[T any](t *testing.T, rows iter.Seq2[T, error], use func(T)) {
	for row, err := range rows {
		if err == nil {
			use(row)
			continue
		}
		var rowErr *badrow.Error
		if !errors.As(err, &rowErr) || rowErr.File != "x.csv" || rowErr.Line < 1 || rowErr.Valid == "" {
			t.Errorf("error %q does not say where and what", err)
		}
	}
}
