package ask

import "testing"

// plainPod is a pod as the API server returns it, with what is given to all.
const plainPod = `
metadata: {name: p, namespace: ml, labels: {app: x}}
spec:
  tolerations:
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}
  volumes:
  - {name: kube-api-access-x7k2p, projected: {sources: [{serviceAccountToken: {path: token}}]}}
  - {name: scratch, emptyDir: {}}
  containers: [{name: main, ports: [{containerPort: 80}]}]
`

func TestPlainPodsAreOfThePlainClass(t *testing.T) {
	for _, text := range []string{plainPod, `spec: {containers: [{name: main}]}`} {
		if got := FitKey(podOf(t, text)); got != PlainFit {
			t.Errorf("got %s; want %s for\n%s", got, PlainFit, text)
		}
	}
}

func TestDemandsMakeClasses(t *testing.T) {
	specs := []string{
		`nodeSelector: {zone: a}`,
		`nodeSelector: {zone: b}`,
		`tolerations: [{key: gpu, operator: Exists}]`,
		`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: ` +
			`{nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}]}]}}}`,
		`affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}`,
		`affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}`,
		`topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]`,
		`containers: [{name: main, ports: [{containerPort: 80, hostPort: 80}]}]`,
		`containers: [{name: main, ports: [{containerPort: 81, hostPort: 81}]}]`,
		`volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]`,
		`volumes: [{name: data, csi: {driver: x.example.com}}]`,
		`volumes: [{name: data, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: fast}}}}]`,
	}
	seen := map[string]string{PlainFit: "the plain pod"}
	for _, spec := range specs {
		text := "metadata: {name: p, namespace: ml}\nspec: {" + spec + "}"
		key := FitKey(podOf(t, text))
		if key != FitKey(podOf(t, text)) {
			t.Errorf("%s: two keys", spec)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("%s has the class of %s", spec, other)
		}
		seen[key] = spec
	}
}

func TestHostNetworkTakesThePorts(t *testing.T) {
	asWritten := podOf(t, `spec: {hostNetwork: true, containers: [{name: main, ports: [{containerPort: 80}]}]}`)
	asStored := podOf(t, `
spec: {hostNetwork: true, containers: [{name: main, ports: [{containerPort: 80, hostPort: 80, protocol: TCP}]}]}
`)
	if a, b := FitKey(asWritten), FitKey(asStored); a != b || a == PlainFit {
		t.Errorf("got %s and %s; want one class beside the plain one", a, b)
	}
}

func TestLabelsCountWhereDemandsAreAboutPods(t *testing.T) {
	spread := "\nspec: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}"
	a := FitKey(podOf(t, "metadata: {labels: {app: a}}"+spread))
	b := FitKey(podOf(t, "metadata: {labels: {app: b}}"+spread))
	if a == b {
		t.Error("pods of different labels are of one class")
	}
}
