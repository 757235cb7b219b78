package openb

// models is the memory that one GPU of each model reports, in MiB. The named
// ones are as the trace's own simulator has them; G2 and G3 are anonymised, so
// theirs is an assumption, after the nodes that they are in: those of G2 (8
// GPUs, 96 CPUs) look like those of V100M32, those of G3 (8 GPUs, 128 CPUs, 768
// GiB) like nodes of A100 with 80 GB.
var models = map[string]int64{
	"A10":     22731,
	"P100":    16280,
	"T4":      15109,
	"V100M16": 16160,
	"V100M32": 32510,
	"G2":      32510, // assumed
	"G3":      81251, // assumed
}

// GPUMemoryMiB returns the memory of one GPU of a model of the trace.
func GPUMemoryMiB(model string) (mib int64, ok bool) {
	mib, ok = models[model]
	return mib, ok
}
