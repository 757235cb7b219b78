package trace

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// write makes files in a folder of their own and returns their paths.
func write(t *testing.T, files map[string]string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestPhilly(t *testing.T) {
	jobs, err := Philly()
	if err != nil {
		t.Fatal(err)
	}
	tenants, simulated := map[string]bool{}, 0
	for i, j := range jobs {
		tenants[j.Tenant] = true
		if !j.Submit.Before(PhillyFrom) {
			simulated++
		}
		if i > 0 && j.Submit.Before(jobs[i-1].Submit) {
			t.Fatalf("job %d comes before job %d", i, i-1)
		}
	}
	if len(jobs) != 82_247 || simulated != 64_933 || len(tenants) != 15 {
		t.Errorf("%d jobs, %d simulated, %d tenants; want 82247, 64933, 15", len(jobs), simulated, len(tenants))
	}
	if !IsPhilly(jobs) || IsPhilly(jobs[1:]) {
		t.Error("IsPhilly does not know its own trace from another")
	}
}

// One file for each tenant, without a column that says so, works out of the
// box, packed or not.
func TestFilePerTenant(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("job_id,submission_time,duration,num_gpu\nb1,100,60.5,8\n")); err != nil {
		t.Fatal(err)
	}
	z.Close()
	jobs, err := Open(write(t, map[string]string{
		"vision.csv":      "job_id,submission_time,duration,num_gpu\na1,200,10,1\na2,50.25,0,2\n",
		"language.csv.gz": packed.String(),
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Job{
		{"a2", "vision", time.UnixMilli(50_250), 0, 2},
		{"b1", "language", time.UnixMilli(100_000), 60_500 * time.Millisecond, 8},
		{"a1", "vision", time.UnixMilli(200_000), 10 * time.Second, 1},
	}
	if len(jobs) != len(want) {
		t.Fatalf("%d jobs: %v", len(jobs), jobs)
	}
	for i, j := range jobs {
		w := want[i]
		if j.ID != w.ID || j.Tenant != w.Tenant || !j.Submit.Equal(w.Submit) || j.Duration != w.Duration || j.GPUs != w.GPUs {
			t.Errorf("job %d is %+v, want %+v", i, j, w)
		}
	}
}

// Columns of other names are mapped, others are passed over, and times may have
// a zone.
func TestColumns(t *testing.T) {
	const text = "\ufeffwhen,state,team,n,took\n2026-01-01T12:00:00+02:00,ok,nlp,4,90\n"
	var jobs []Job
	for j, err := range Read("log.csv", strings.NewReader(text), Columns{Submit: "when", Tenant: "team", GPUs: "n", Duration: "took"}) {
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	if len(jobs) != 1 || jobs[0].Tenant != "nlp" || jobs[0].GPUs != 4 || !jobs[0].Submit.Equal(at("2026-01-01T10:00:00Z")) ||
		jobs[0].ID != "2" || jobs[0].End().Sub(jobs[0].Submit) != 90*time.Second {
		t.Errorf("jobs are %+v", jobs)
	}
}

func TestRefusals(t *testing.T) {
	const header = "job_id,submission_time,duration,num_gpu\n"
	for name, c := range map[string]struct {
		text    string
		columns Columns
		want    string
	}{
		"empty":     {"", nil, "x.csv line 1 is missing: write the names of the columns"},
		"no column": {"job_id,duration,num_gpu\n", nil, `the header is "job_id,duration,num_gpu": write a column for the submit, called submission_time`},
		"not there": {header, Columns{GPUs: "n"}, "write a column for the gpus, called n, or say which it is"},
		"two":       {"timestamp,submit_time,duration,gpus\n", nil, `the header is "submit_time": timestamp stands there too`},
		"short":     {header + "a,1,2\n", nil, "x.csv line 2 is a row of 3 fields: write 4"},
		"time":      {header + "a,soon,2,1\n", nil, `x.csv line 2: submission_time is "soon": write a time such as`},
		"duration":  {header + "a,1,-2,1\n", nil, `duration is "-2": write a number of seconds`},
		"nan":       {header + "a,1,NaN,1\n", nil, `duration is "NaN": write a number`},
		"no gpu":    {header + "a,1,2,1\nb,1,2,0\n", nil, `x.csv line 3: num_gpu is "0": write a whole number from 1 to 65536; leave out`},
		"half":      {header + "a,1,2,0.5\n", nil, `num_gpu is "0.5": write a whole number`},
		"id":        {header + ",1,2,1\n", nil, `job_id is "": write what tells the job from others`},
		"quotes":    {header + "a,1,\"2,1\n", nil, "x.csv line 2 is not CSV"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs []string
			for _, err := range Read("x.csv", strings.NewReader(c.text), c.columns) {
				if err != nil {
					errs = append(errs, err.Error())
				}
			}
			if len(errs) != 1 || !strings.Contains(errs[0], c.want) {
				t.Errorf("errors are %q, want one with %q", errs, c.want)
			}
		})
	}
}

// Of a file in which everything is wrong, not everything is told.
func TestManyErrors(t *testing.T) {
	text := "submit,duration,gpus\n" + strings.Repeat("x,1,1\n", 1000)
	_, err := Open(write(t, map[string]string{"x.csv": text}), nil)
	if n := strings.Count(err.Error(), "\n"); n != mostErrors {
		t.Errorf("%d lines of errors, want %d and a last one:\n%v", n+1, mostErrors, err)
	}
	if _, err := Open([]string{"nowhere.csv"}, nil); err == nil {
		t.Error("a file that is not there was read")
	}
	if _, err := Open(write(t, map[string]string{"x.csv.gz": "plain"}), nil); err == nil {
		t.Error("a file that is not what it is called was read")
	}
}

// Whatever a file holds, what is read of it is valid.
func FuzzRead(f *testing.F) {
	f.Add("timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 07:01:55,66.0,1,66.0,11cb48\n")
	f.Add("job_id,submission_time,duration,num_gpu\na,1e9,1e300,1\n")
	f.Add("submit,duration,gpus\n\"1\n\",2,3\n0x1p-2,Inf,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		for j, err := range Read("f.csv", strings.NewReader(text), nil) {
			if err != nil {
				if err.Error() == "" {
					t.Error("an error says nothing")
				}
				continue
			}
			if j.GPUs < 1 || j.GPUs > mostGPUs || j.Duration < 0 || j.ID == "" || j.Tenant == "" ||
				j.Duration%time.Millisecond != 0 || j.Submit.Nanosecond()%int(time.Millisecond) != 0 || j.End().Before(j.Submit) {
				t.Errorf("%q gave %+v", text, j)
			}
		}
	})
}
