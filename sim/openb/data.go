package openb

import (
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"iter"
	"slices"
)

//go:embed data/*.csv.gz
var data embed.FS

// Nodes returns the nodes of the embedded trace.
func Nodes() ([]Node, error) { return embedded("openb_node_list_gpu_node.csv", ReadNodes) }

// Lists are the pod lists that come with the trace: the one that was recorded,
// and two made from it in which more pods, or all, share GPUs.
var Lists = []string{"default", "gpushare40", "gpushare100"}

// Pods returns the pods of the embedded trace, in order of name.
func Pods() ([]Pod, error) { return PodList("default") }

// PodList returns the pods of one of [Lists] or [Variants].
func PodList(name string) ([]Pod, error) {
	if slices.Contains(Variants, name) {
		return variant(name)
	}
	return embedded("openb_pod_list_"+name+".csv", ReadPods)
}

func embedded[T any](file string, read func(string, io.Reader) iter.Seq2[T, error]) ([]T, error) {
	packed, err := data.Open("data/" + file + ".gz")
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return Collect(read(file, r))
}
