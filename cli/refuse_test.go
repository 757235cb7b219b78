package cli

import (
	"strings"
	"testing"
)

// Every refusal is one sentence that says what to do.
func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		line string
		code int
		want string
	}{
		{"lsit", 2, `there is no command "weir lsit": did you mean list?`},
		{"frobnicate", 2, `there is no command "weir frobnicate"; see weir --help`},
		{"project mak", 2, `there is no command "weir project mak"`},
		{"install", 2, "--image is missing: name an image with the weir binary"},
		{"install --image weir:1 --replicas 0", 2, "--replicas 0 is not a number of replicas: write 1 to 9"},
		{"install --image weir:1 --apply -o json", 2, "-o is for printing: leave out --apply or -o"},
		{"scheduler --tls-secret x/y", 2, "--tls-secret is for the webhook: add --webhook-address :9443"},
		{"scheduler --webhook-address :1", 2, "add --tls-secret, or --tls-cert-file and --tls-key-file"},
		{"scheduler --webhook-address :1 --tls-secret weir", 2, `--tls-secret "weir" names nothing: write NAMESPACE/NAME`},
		{"scheduler --webhook-address :1 --tls-secret a/b --tls-cert-file c", 2, "two ways to one certificate"},
		{"list --nope", 2, "unknown flag: --nope; see weir list --help"},
		{"list extra", 2, `weir list takes no argument such as "extra"`},
		{"list -o jsn", 2, `invalid argument "jsn" for "-o, --output" flag: write one of json, yaml, wide, name`},
		{"list --status sleeping", 2, `--status "sleeping" is no status: write waiting, starting, running`},
		{"list --kind serve", 2, `--kind "serve" is no kind of workload: write build, train, infer`},
		{"list --project visoin", 3, `there is no project "visoin": did you mean vision?`},
		{"list --watch -o json", 2, "--watch prints lines, not json"},
		{"explain", 2, "the name of the workload is missing: write weir explain NAME"},
		{"explain lmm", 3, "there is no workload lmm in namespace ml: did you mean llm?"},
		{"explain nothing-like-it -n other", 3, "there is no workload nothing-like-it in namespace other: none at all is there"},
		{"explain llm -n other", 3, "there is no workload llm in namespace other, but there is ml/job/llm"},
		{"explain deploy/llm", 3, "there is no workload deployment/llm in namespace ml: did you mean llm?"},
		{"explain llm --exit-code", 4, ""},
		{"explain tune --exit-code", 0, ""},
		{"describe lmm", 3, "did you mean llm?"},
		{"logs", 2, "the name of the workload is missing"},
		{"logs tune llm", 2, `"llm" is one name too many: write one workload`},
		{"logs tunne", 3, "there is no workload tunne in namespace ml: did you mean tune?"},
		{"logs dev", 1, "ml/pod/dev has written nothing because it waits: see why with weir explain ml/pod/dev"},
		{"logs tune --pod 7", 3, `ml/job/tune has no pod "7"`},
		{"logs tune --since -1s", 2, "--since -1s is less than nothing"},
		{"delete tune-0", 2, "pod tune-0 belongs to ml/job/tune: name that if you mean all of it"},
		{"delete nope", 3, "there is no workload nope in namespace ml"},
		{"submit train", 2, "the name is missing: write it first, such as weir submit train my-job"},
		{"submit train a python x.py", 2, `"python" is one word too many: write the command to run after --`},
		{"submit train x --gpu 1", 2, "--image is missing: name the container image to run"},
		{"submit train x --image i --gpu 1.5", 2, "--gpu: 1.5 GPUs: a share goes up to 1 GPU and more must be whole"},
		{"submit train x --image i --gpu-memory ten", 2, `weir.dev/gpu-memory "ten"`},
		{"submit train x --image i --pods 0", 2, "--pods: 0 is fewer than one"},
		{"submit infer x --image i --replicas 0", 2, "--replicas: 0 is fewer than one"},
		{"submit build x --image i --pods 2", 2, "unknown flag: --pods"},
		{"submit train x --image i --project vison", 3, `there is no project "vison": did you mean vision?`},
		{"submit train x --image i -n nowhere", 2, "namespace nowhere belongs to no project, so nothing is guaranteed to it: " +
			"name a project with --project: there are speech, vision"},
		{"submit train llm --image i", 2, "there is a job named llm in ml already: choose another name, or delete that one"},
		{"project create", 2, "the name of the project is missing"},
		{"project create x --gpu -1", 2, `--gpu: "-1" is not an amount of GPUs`},
		{"project create x --gpu 8 --limit 4", 2, "--limit: 4 GPUs are fewer than the 8 that are guaranteed in pool default"},
		{"project create x --weight -1", 2, `--weight "-1" is not a weight: write a whole number from 0 to 1000000`},
		{"project create x --priority high", 2, `--priority "high" is not a priority`},
		{"project create x --department reserch", 3, `there is no department "reserch": did you mean research?`},
		{"project create vision", 2, `there is a project "vision" already: change it with weir project set vision`},
		{"project set vision", 2, "there is nothing to change"},
		{"project set visionn --gpu 1", 3, `there is no project "visionn": did you mean vision?`},
		{"project get visin", 3, `there is no project "visin": did you mean vision?`},
		{"project delete visin", 3, `there is no project "visin": did you mean vision?`},
		{"department delete research", 2, "department research still has the projects vision: move them"},
		{"pool create new", 2, "--selector is missing, and without it the pool would take every node"},
		{"pool create new --selector a=b --placement best", 2, `--placement "best" is no way to place pods: write pack or spread or fgd or dense`},
		{"pool create new --selector a=b --cpu-placement fgd", 2, `--cpu-placement "fgd" is no way to place pods`},
		{"pool create new --selector a=b --price free", 2, `--price: "free" is not a price`},
		{"pool set old --surplus-runtime -5m", 2, `--surplus-runtime: "-5m" is not how long: write a duration such as 5m`},
		{"pool set old", 2, "there is nothing to change"},
		{"pool get odl", 3, `there is no pool "odl": did you mean old?`},
		{"node get n9", 3, `there is no node "n9": did you mean n1 or n2 or n3?`},
		{"node list --pool nope", 3, `there is no pool "nope"`},
		{"top --every 1ms", 2, "--every 1ms is too short"},
		{"plan", 2, "-f is missing: name a file or a directory with Kubernetes objects, or - for standard input"},
		{"simulate replay --plan static --surplus share", 2, "--surplus does not go with --plan static"},
		{"simulate replay --plan quota --surplus service", 2, `--surplus "service" is not what --plan quota knows: write share`},
		{"simulate replay --plan static --discipline fifo", 2, "--discipline does not go with --plan static"},
		{"simulate replay --plan swap --discipline lifo", 2, `--discipline "lifo" is no order of jobs: write fifo or shortest or service`},
		{"simulate replay --plan quota --weight a=2", 2, "--weight divides surplus that is taken back: add --surplus share"},
		{"pool set old --surplus lottery", 2, `--surplus "lottery" is no way to divide it: write share or service`},
		{"project create a --discipline lifo", 2, `--discipline "lifo" is no order of workloads: write fifo or shortest or service`},
		{"up --nodes 0", 2, "--nodes 0 is not a number of nodes"},
		{"up --gpus -1", 2, "--gpus -1 is not what a node can have"},
		{"up --replay philly", 2, `there is no trace "philly": write --replay openb`},
		{"up --replay openb --nodes 3", 2, "--nodes does not go with --replay"},
		{"up --speed 3", 2, "--speed and --exit are for a replay: add --replay openb"},
		{"up --port 70000", 2, "--port 70000 is not a port"},
		{"scheduler --webhook-address :1", 2, "--webhook-address needs a certificate"},
		{"scheduler --tls-cert-file x", 2, "--tls-cert-file and --tls-key-file are for the webhook"},
		{"scheduler --lease-namespace=", 2, "--lease-namespace is needed to elect a leader"},
		{"scheduler --log-level loud", 2, `--log-level "loud" is no level`},
		{"scheduler --log-format xml", 2, `--log-format "xml" is no format`},
		{"list --context nope", 1, `context "nope" does not exist`},
	} {
		t.Run(tc.line, func(t *testing.T) {
			code, _, stderr := newBench(t).run(strings.Fields(tc.line)...)
			if code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Errorf("exit %d, want %d: %q, want %q", code, tc.code, stderr, tc.want)
			}
			if strings.Count(stderr, "\n") > 1 {
				t.Errorf("more than one line: %q", stderr)
			}
		})
	}
}
